#include "tempest/builtin/passing_tasks.hpp"

#include <array>
#include <stdexcept>
#include <thread>

#include "tempest/builtin/unknown_name.hpp"

namespace tempest::builtin {

Result<void> IdentityTask::handle(const Message& message, Context& context) {
  context.emit(message);
  return {};
}

Result<void> DropTask::handle(const Message& /*message*/, Context& /*context*/) {
  return {};
}

Result<void> SleepTask::open(const Settings& config) {
  time_ = config.duration("time", time_);
  if (time_ < Duration::zero()) {
    return Error{ErrorCode::configuration, "sleep's time must not be negative"};
  }
  return {};
}

Result<void> SleepTask::handle(const Message& message, Context& context) {
  std::this_thread::sleep_for(time_);
  context.emit(message);
  return {};
}

Result<void> FailTask::open(const Settings& config) {
  const std::string kind = config.text("kind", "retry");
  const std::int64_t every = config.integer("every", 1);
  const std::int64_t times = config.integer("times", 0);
  if (every < 1) return Error{ErrorCode::configuration, "fail's every must be at least 1"};
  if (times < 0) return Error{ErrorCode::configuration, "fail's times must not be negative"};
  every_ = static_cast<std::uint64_t>(every);
  times_ = static_cast<std::uint64_t>(times);
  match_ = config.text("match");
  if (kind == "retry") {
    kind_ = Kind::retry;
  } else if (kind == "fail") {
    kind_ = Kind::fail;
  } else if (kind == "throw") {
    kind_ = Kind::exception;
  } else {
    const std::array<std::string, 3> kinds = {"retry", "fail", "throw"};
    return unknown_name("kind of failure", kind, kinds);
  }
  return {};
}

bool FailTask::is_to_fail(const Message& message, const Context& context) {
  if (message.payload.find(match_) == std::string_view::npos) return false;
  return ++matched_ % every_ == 0 && (times_ == 0 || context.attempt() <= times_);
}

Result<void> FailTask::handle(const Message& message, Context& context) {
  if (!is_to_fail(message, context)) {
    context.emit(message);
    return {};
  }
  const std::string reason = "the task fail fails this message, as it was told to";
  switch (kind_) {
    case Kind::exception:
      throw std::runtime_error(reason);
    case Kind::fail:
      return TaskError{TaskError::Kind::fail, reason};
    case Kind::retry:
      break;
  }
  return TaskError{TaskError::Kind::retry, reason};
}

}  // namespace tempest::builtin
