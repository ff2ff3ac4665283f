#pragma once

#include <chrono>
#include <cstdint>

namespace tempest {

using Duration = std::chrono::nanoseconds;

/// The clock that the machines reckon by. It has no now(): a machine is told the time with every
/// event, and only a shell (runtime/clock.hpp) or the simulator reads or invents it.
struct MonotonicTime {
  using duration = Duration;
  using rep = Duration::rep;
  using period = Duration::period;
  using time_point = std::chrono::time_point<MonotonicTime>;
  static constexpr bool is_steady = true;
};

/// A moment on the monotonic clock of one process. Means nothing in another process.
using TimePoint = MonotonicTime::time_point;

inline constexpr TimePoint kNever = TimePoint::max();

}  // namespace tempest
