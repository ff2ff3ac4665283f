#include "pipeline_node/timeout_log.hpp"

namespace tempest::pipeline_node {

namespace {

constexpr Duration kTellEvery = std::chrono::seconds(10);
/// Workers come and go, and each may have a new name: beyond this, those that are new have none.
constexpr std::size_t kMaxCounts = 256;

}  // namespace

void TimeoutLog::add(const tracking::TimedOutDelivery& timed_out, const dag::Graph& graph,
                     TimePoint now, std::vector<link::Notice>& notices) {
  std::pair<TaskId, std::string> key(timed_out.task, timed_out.worker);
  if (counts_.size() >= kMaxCounts && !counts_.contains(key)) key.second.clear();
  Count& count = counts_[std::move(key)];
  ++count.total;
  ++count.untold;
  if (now < count.tell_at) return;
  count.tell_at = now + kTellEvery;
  notices.push_back({link::Notice::Level::warning,
                     "a delivery timed out: " + timed_out.reason,
                     {{"task", graph.node(timed_out.task).name},
                      {"worker", timed_out.worker},
                      {"attempt", timed_out.attempt},
                      {"deliveries", std::exchange(count.untold, 0)}}});
}

void TimeoutLog::report(const dag::Graph& graph, wire::StatsBuilder& stats) const {
  for (const auto& [key, count] : counts_) {
    stats.for_task(graph.node(key.first).name);
    stats.counter("tempest_worker_timeouts_total", "worker", key.second, count.total);
  }
}

}  // namespace tempest::pipeline_node
