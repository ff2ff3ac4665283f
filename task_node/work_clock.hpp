#pragma once

#include <algorithm>

#include "tempest/base/time.hpp"

namespace tempest::task_node {

/// Measures the time in which this process could work. While a process is stopped (SIGSTOP, a
/// frozen container, a sleeping laptop) the monotonic clock goes on, and no task can be blamed for
/// that: a gap between two looks that is longer than any loop makes is counted as kGap.
class WorkClock {
 public:
  /// Who relies on the clock looks at it at least this often.
  static constexpr Duration kInterval = std::chrono::milliseconds(50);
  /// The longest gap that counts in full: short beside any timeout that people set, since a host
  /// takes its machines away for half a second at times.
  static constexpr Duration kGap = std::chrono::milliseconds(100);

  void look(TimePoint now) {
    if (looked_at_ != TimePoint{} && now - looked_at_ > kGap) stopped_ += now - looked_at_ - kGap;
    looked_at_ = std::max(looked_at_, now);
  }
  /// Returns the time worked up to the last look, as a point on a clock of its own.
  TimePoint now() const { return looked_at_ - stopped_; }
  /// Returns when, by the monotonic clock, that clock will show `time` if the process is not
  /// stopped.
  TimePoint real(TimePoint time) const {
    return time < kNever - stopped_ ? time + stopped_ : kNever;
  }

 private:
  TimePoint looked_at_{};
  Duration stopped_{0};
};

}  // namespace tempest::task_node
