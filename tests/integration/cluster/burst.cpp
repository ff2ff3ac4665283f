#include <string>

#include "tempest/task.hpp"

namespace {

/// Emits a message that begins with "burst" three times, with 15 MiB each; every other as it is.
struct Burst : tempest::Task {
  tempest::Result<void> handle(const tempest::Message& message,
                               tempest::Context& context) override {
    std::string text(message.payload);
    if (!text.starts_with("burst")) {
      context.emit(text);
      return {};
    }
    text.resize(15ULL << 20, 'x');
    for (int i = 0; i < 3; ++i) context.emit(text);
    return {};
  }
};

/// Hands what is joined on as the number of messages and the first of them.
struct Count : tempest::Task {
  tempest::Result<void> handle(const tempest::Message& message,
                               tempest::Context& context) override {
    context.emit(message);
    return {};
  }
  tempest::Result<void> gather(std::span<const tempest::Message> messages,
                               std::span<const std::string_view> /*origins*/,
                               tempest::Context& context) override {
    context.emit(std::to_string(messages.size()) + " " +
                 std::string(messages.front().payload.substr(0, 8)));
    return {};
  }
};

}  // namespace

TEMPEST_TASKS(burst, Burst, Count)
