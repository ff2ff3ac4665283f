#pragma once

#include <exception>
#include <string_view>

#include "tempest/base/arena.hpp"
#include "tempest/base/exception_text.hpp"
#include "tempest/base/result.hpp"
#include "tempest/wire/frames.hpp"

/// Where the worker meets a user's code: whatever that does, what comes out of it is a result.
namespace tempest::task_node {

/// Calls user code, and makes an error of whatever it throws.
template <typename Call>
Result<void> guarded(Call call) {
  try {
    return call();
  } catch (const std::exception& exception) {
    return Error{ErrorCode::retry, text_of(exception)};
  } catch (...) {
    return Error{ErrorCode::retry, "the task threw something that is not a std::exception"};
  }
}

/// A task's error as a result tells it. Its reason is cut to kMaxReasonBytes, and kept in the
/// arena.
wire::Results::Failure failure_of(const Error& error, Arena& arena);

}  // namespace tempest::task_node
