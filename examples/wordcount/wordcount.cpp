#include <charconv>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>

#include "tempest/task.hpp"

/// The word count: Split makes words of a text, Count counts them.
namespace wordcount {
namespace {

// Not std::isalpha(): what counts as a letter must not hang on the locale.
bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
char to_lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

std::string_view without_outer_apostrophes(std::string_view word) {
  while (!word.empty() && word.front() == '\'') word.remove_prefix(1);
  while (!word.empty() && word.back() == '\'') word.remove_suffix(1);
  return word;
}

}  // namespace

/// Emits each word of a text, in lower case: a run of ASCII letters and apostrophes, without the
/// apostrophes at either end. The word is also the message's key, so that all of its kind are
/// counted in one place.
class Split : public tempest::Task {
 public:
  void declare(tempest::Declarations& about) const override {
    about.summary("Emits each word of a text, in lower case").no_settings().no_outputs();
  }

  tempest::Result<void> handle(const tempest::Message& message,
                               tempest::Context& context) override {
    word_.clear();
    for (const char c : message.payload) {
      if (is_letter(c) || c == '\'') {
        word_ += to_lower(c);
      } else {
        emit_word(context);
      }
    }
    emit_word(context);
    return {};
  }

 private:
  void emit_word(tempest::Context& context) {
    const std::string_view word = without_outer_apostrophes(word_);
    if (!word.empty()) context.emit({word, word});
    word_.clear();
  }

  std::string word_;  ///< A member, so that its memory is used again.
};

/// Emits "word<TAB>count" for each word it gets: how often it has had that word so far. With
/// `grouping = "key"` a word stays with one instance, so the last line of a word is its total.
///
/// The counts live in this instance, and a message can come more than once: after a failure or a
/// lost worker it is handled again, and is then counted again; and a worker that is started anew
/// begins at 0. Where counts must be exact in spite of that, keep them outside, by an id of the
/// message.
class Count : public tempest::Task {
 public:
  void declare(tempest::Declarations& about) const override {
    about.summary("Emits each word with how often it has come so far").no_settings().no_outputs();
  }

  tempest::Result<void> handle(const tempest::Message& message,
                               tempest::Context& context) override {
    word_ = message.payload;
    const std::uint64_t count = ++counts_[word_];
    char digits[20];
    const auto end = std::to_chars(digits, digits + sizeof(digits), count).ptr;
    line_ = word_;
    line_ += '\t';
    line_.append(digits, end);
    context.emit({line_, word_});
    return {};
  }

 private:
  std::unordered_map<std::string, std::uint64_t> counts_;
  std::string word_;
  std::string line_;
};

}  // namespace wordcount

using wordcount::Count;
using wordcount::Split;
TEMPEST_TASKS(wordcount, Split, Count)
