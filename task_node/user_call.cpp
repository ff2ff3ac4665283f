#include "task_node/user_call.hpp"

#include <chrono>

#include "tempest/base/limits.hpp"

namespace tempest::task_node {
namespace {

using Status = wire::Results::Status;

/// At most kMaxReasonBytes, and not within a UTF-8 character.
std::string_view cut_reason(std::string_view reason) {
  if (reason.size() <= kMaxReasonBytes) return reason;
  std::size_t end = kMaxReasonBytes;
  while (end > 0 && (static_cast<unsigned char>(reason[end]) & 0xc0) == 0x80) --end;
  return reason.substr(0, end);
}

}  // namespace

wire::Results::Failure failure_of(const Error& error, Arena& arena) {
  wire::Results::Failure failure;
  failure.status = error.code == ErrorCode::fail          ? Status::fail
                   : error.code == ErrorCode::unavailable ? Status::unavailable
                                                          : Status::retry;
  failure.reason = arena.keep(cut_reason(error.message));
  if (error.retry_after > Duration::zero()) {
    // Rounded up: not before that time has passed, and zero would mean something else.
    failure.retry_after_ms = static_cast<std::uint64_t>(
        std::chrono::ceil<std::chrono::milliseconds>(error.retry_after).count());
  }
  return failure;
}

}  // namespace tempest::task_node
