#pragma once

#include <cstddef>
#include <cstdint>

namespace tempest::wire {

/// A source states in Attach::window_bytes, and then in Window::bytes, how much a coordinator may
/// tell it of failed messages since the session began, all together: a failed message holds memory
/// at the source until its dead letter is written. The number only grows. Whoever states zero in
/// its Attach sets no limit.
///
/// Returns what one failed message counts: with a reason and a payload of so many bytes.
constexpr std::uint64_t failure_cost(std::size_t reason_bytes, std::size_t payload_bytes) {
  constexpr std::uint64_t kHeadBytes = 64;
  return kHeadBytes + reason_bytes + payload_bytes;
}

}  // namespace tempest::wire
