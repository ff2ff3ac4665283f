#include <cstdint>
#include <string>
#include <unordered_map>

#include "tempest/task.hpp"

/// The tasks of `tempest bench` that are no built-ins.
namespace {

/// Makes `outputs` messages of each.
class Fan : public tempest::Task {
 public:
  tempest::Result<void> open(const tempest::Settings& config) override {
    outputs_ = config.integer("outputs", 1);
    return {};
  }
  tempest::Result<void> handle(const tempest::Message& message,
                               tempest::Context& context) override {
    for (std::int64_t i = 0; i < outputs_; ++i) context.emit(message);
    return {};
  }

 private:
  std::int64_t outputs_ = 1;
};

/// Makes `words` words of each sentence, of a vocabulary of 1,000 in which small ranks come more
/// often, as in any text. Which ones follows from the sentence alone.
class Split : public tempest::Task {
 public:
  tempest::Result<void> open(const tempest::Settings& config) override {
    words_ = config.integer("words", 1);
    return {};
  }
  tempest::Result<void> handle(const tempest::Message& sentence,
                               tempest::Context& context) override {
    std::uint64_t state = std::hash<std::string_view>{}(sentence.payload);
    for (std::int64_t i = 0; i < words_; ++i) {
      state = state * 6364136223846793005ULL + 1442695040888963407ULL;
      const std::uint64_t draw = (state >> 33) % 1'000;
      const std::string word = "word-" + std::to_string(draw * draw / 1'000);
      context.emit({word, word});
    }
    return {};
  }

 private:
  std::int64_t words_ = 1;
};

class Count : public tempest::Task {
 public:
  tempest::Result<void> handle(const tempest::Message& word, tempest::Context&) override {
    ++counts_[std::string(word.payload)];
    return {};
  }

 private:
  std::unordered_map<std::string, std::uint64_t> counts_;
};

}  // namespace

TEMPEST_TASKS(bench_tasks, Fan, Split, Count)
