#pragma once

#include <cstddef>
#include <cstdint>

#include "tempest/base/time.hpp"

namespace tempest::task_node {

/// How many deliveries coordinators may have out at this worker: enough that its threads never
/// wait for more, few enough that little is stuck here when another worker would be free.
class WindowEstimate {
 public:
  explicit WindowEstimate(std::size_t threads) : threads_(threads) {}

  /// So many deliveries took one thread so long.
  void record(std::size_t deliveries, Duration handle_time);

  /// For each of so many coordinators: kWorkAhead's worth of what all threads can do together, by
  /// the time that recent deliveries took. What the worker can do, and not what it was given to do:
  /// an idle worker's window does not shrink.
  std::uint64_t messages(std::size_t coordinators) const;

  static constexpr Duration kWorkAhead = std::chrono::milliseconds(100);
  static constexpr std::uint64_t kMost = 16'384;

 private:
  std::size_t threads_;
  double deliveries_ = 0;
  double busy_ns_ = 0;
};

}  // namespace tempest::task_node
