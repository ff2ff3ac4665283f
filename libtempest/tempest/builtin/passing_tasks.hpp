#pragma once

#include <cstdint>
#include <string>

#include "tempest/base/time.hpp"
#include "tempest/task.hpp"

/// The built-in tasks that hand a message on as it is, or do not: to try a topology without
/// compiling anything, and to stand in for a user's task in tests.
namespace tempest::builtin {

class IdentityTask : public Task {
 public:
  Result<void> handle(const Message& message, Context& context) override;
};

class DropTask : public Task {
 public:
  Result<void> handle(const Message& message, Context& context) override;
};

class SleepTask : public Task {
 public:
  Result<void> open(const Settings& config) override;
  Result<void> handle(const Message& message, Context& context) override;

 private:
  Duration time_{0};
};

class FailTask : public Task {
 public:
  Result<void> open(const Settings& config) override;
  Result<void> handle(const Message& message, Context& context) override;

 private:
  enum class Kind { retry, fail, exception };

  bool is_to_fail(const Message& message, const Context& context);

  Kind kind_ = Kind::retry;
  std::uint64_t every_ = 1;
  std::uint64_t times_ = 0;
  std::string match_;
  std::uint64_t matched_ = 0;
};

}  // namespace tempest::builtin
