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
  /// an idle worker's window does not shrink. A thread that is in a slow call has that, and is
  /// given nothing to do after it, since nobody knows when it will come to it.
  std::uint64_t messages(std::size_t coordinators, std::size_t slow_threads = 0) const;

  /// How many a coordinator should give this worker before it wakes another. The longer a delivery
  /// takes, the less a wake-up costs by comparison, and the more there is to win by spreading: they
  /// are so many that a message waits behind at most kBatchWork's worth, and less with the square
  /// of what each takes. One while nothing is known.
  std::uint64_t batch() const;

  static constexpr std::uint64_t kMostBatch = 1'024;
  /// 1.5 us each for the largest batch.
  static constexpr Duration kBatchWork = std::chrono::microseconds(1'536);
  static constexpr Duration kWorkAhead = std::chrono::milliseconds(100);
  static constexpr std::uint64_t kMost = 16'384;

 private:
  /// What all threads together take for one. There must be a record.
  double mean_ns() const;

  std::size_t threads_;
  double deliveries_ = 0;
  double busy_ns_ = 0;
};

}  // namespace tempest::task_node
