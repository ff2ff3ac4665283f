#include <cstdlib>
#include <string>

#include "tempest/task.hpp"

namespace {

/// Of "COUNT BYTES ..." emits COUNT messages of BYTES each, numbered.
struct Make : tempest::Task {
  tempest::Result<void> handle(const tempest::Message& message,
                               tempest::Context& context) override {
    const std::string text(message.payload);
    char* end = nullptr;
    const unsigned long count = std::strtoul(text.c_str(), &end, 10);
    const unsigned long bytes = std::strtoul(end, nullptr, 10);
    for (unsigned long i = 0; i < count; ++i) {
      std::string made = std::to_string(i) + " ";
      if (made.size() < bytes) made.resize(bytes, 'x');
      context.emit(made);
    }
    return {};
  }
};

/// Fails for good.
struct Refuse : tempest::Task {
  tempest::Result<void> handle(const tempest::Message& /*message*/,
                               tempest::Context& /*context*/) override {
    return tempest::TaskError{tempest::TaskError::Kind::fail, "it will not do"};
  }
};

/// Asks for an hour's pause.
struct Later : tempest::Task {
  tempest::Result<void> handle(const tempest::Message& /*message*/,
                               tempest::Context& /*context*/) override {
    return tempest::TaskError{tempest::TaskError::Kind::retry, "later", std::chrono::hours(1)};
  }
};

/// Asks for an hour's pause for the first of those that Make made of a message.
struct FirstLater : tempest::Task {
  tempest::Result<void> handle(const tempest::Message& message,
                               tempest::Context& /*context*/) override {
    if (!message.payload.starts_with("0 ")) return {};
    return tempest::TaskError{tempest::TaskError::Kind::retry, "later", std::chrono::hours(1)};
  }
};

}  // namespace

TEMPEST_TASKS(hostile, Make, Refuse, Later, FirstLater)
