#include "stats_node/aggregate_feed.hpp"

#include "tempest/runtime/clock.hpp"

namespace tempest::stats_node {

Result<std::unique_ptr<AggregateFeed>> AggregateFeed::open(
    runtime::Transport& transport, const std::vector<std::string>& brokers) {
  auto feed = runtime::BusFeed::open(transport, brokers, "aggregate");
  if (!feed) return feed.error();
  return std::unique_ptr<AggregateFeed>(new AggregateFeed(std::move(*feed)));
}

std::optional<std::string> AggregateFeed::next(Duration patience) {
  const TimePoint deadline = runtime::monotonic_now() + patience;
  while (true) {
    std::optional<std::string> aggregate = feed_->next(deadline - runtime::monotonic_now());
    if (!aggregate) return std::nullopt;
    if (*aggregate == last_) continue;
    last_ = *aggregate;
    return aggregate;
  }
}

}  // namespace tempest::stats_node
