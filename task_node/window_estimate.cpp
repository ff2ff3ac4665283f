#include "task_node/window_estimate.hpp"

#include <algorithm>

namespace tempest::task_node {
namespace {

// What is remembered counts half once this many deliveries, or this much time, have been added.
constexpr double kRememberedDeliveries = 16'384;
constexpr double kRememberedNs = 1e9;

}  // namespace

void WindowEstimate::record(std::size_t deliveries, Duration handle_time) {
  deliveries_ += static_cast<double>(deliveries);
  busy_ns_ += static_cast<double>(handle_time.count());
  if (deliveries_ > kRememberedDeliveries || busy_ns_ > kRememberedNs) {
    deliveries_ /= 2;
    busy_ns_ /= 2;
  }
}

double WindowEstimate::mean_ns() const {
  return std::max(busy_ns_ / deliveries_, 1.0) / static_cast<double>(threads_);
}

std::uint64_t WindowEstimate::batch() const {
  if (deliveries_ <= 0) return 1;
  const auto most = static_cast<double>(kMostBatch);
  const double quickness = static_cast<double>(kBatchWork.count()) / (most * mean_ns());
  return static_cast<std::uint64_t>(std::clamp(most * quickness * quickness, 1.0, most));
}

std::uint64_t WindowEstimate::messages(std::size_t coordinators, std::size_t slow_threads) const {
  const std::uint64_t slow = std::min(slow_threads, threads_);
  const std::uint64_t threads = threads_ - slow;
  // While nothing is known, few: a message that takes a second must not wait behind many others
  // when another worker comes.
  std::uint64_t total = threads * 4;
  if (deliveries_ > 0) {
    const double share = static_cast<double>(threads) / static_cast<double>(threads_);
    const double ahead = share * static_cast<double>(kWorkAhead.count()) / mean_ns();
    const std::uint64_t most = std::max(kMost, threads * 2);
    total = ahead >= static_cast<double>(most) ? most : static_cast<std::uint64_t>(ahead);
    total = std::clamp(total, threads * 2, most);
  }
  return std::max<std::uint64_t>((total + slow) / std::max<std::uint64_t>(coordinators, 1), 1);
}

}  // namespace tempest::task_node
