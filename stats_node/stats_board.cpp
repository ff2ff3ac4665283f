#include "stats_node/stats_board.hpp"

#include "stats_node/aggregate_json.hpp"
#include "stats_node/metrics_text.hpp"
#include "tempest/runtime/version.hpp"

namespace tempest::stats_node {
namespace {

/// The aggregate is made once a second; this much later something is wrong.
constexpr Duration kStalledAfter = std::chrono::seconds(10);

}  // namespace

void StatsBoard::take(const wire::StatsReport& report, TimePoint now) {
  const std::lock_guard lock(mutex_);
  machine_.take(report, now);
}

std::string StatsBoard::make_aggregate(const std::string& time, TimePoint now) {
  const std::lock_guard lock(mutex_);
  aggregate_json_ = to_json(machine_.aggregate(now), time, machine_.counters().refused);
  made_at_ns_ = now.time_since_epoch().count();
  return aggregate_json_;
}

std::string StatsBoard::aggregate_json() const {
  const std::lock_guard lock(mutex_);
  return aggregate_json_;
}

std::string StatsBoard::metrics(TimePoint now) const {
  const std::lock_guard lock(mutex_);
  return metrics_text(machine_, runtime::version(), now);
}

StatsMachine::Counters StatsBoard::counters() const {
  const std::lock_guard lock(mutex_);
  return machine_.counters();
}

std::string StatsBoard::not_alive(TimePoint now) const {
  const TimePoint made_at{Duration{made_at_ns_}};
  return now - made_at > kStalledAfter ? "the aggregate is no longer made" : "";
}

std::string StatsBoard::not_ready(TimePoint now) const {
  if (draining_) return "stopping";
  if (std::string cause = not_alive(now); !cause.empty()) return cause;
  if (brokers_up_ == 0) return "no broker is up";
  return standstill(now);
}

std::string StatsBoard::standstill(TimePoint now) const {
  const std::lock_guard lock(mutex_);
  for (const auto& [node, report] : machine_.live_nodes(now)) {
    const auto stalled = report->numbers.find(Series{"tempest_stalled", {}});
    if (stalled == report->numbers.end() || stalled->second.value == 0) continue;
    return "topology " + node->topology + " stands still: " + to_string(node->role) + " " +
           node->name + " is stalled; tempest ls says why";
  }
  return {};
}

}  // namespace tempest::stats_node
