#include "stats_node/aggregate_json.hpp"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

namespace tempest::stats_node {
namespace {

using Json = nlohmann::ordered_json;

/// Counts are whole, and are written so. Sums of what many nodes report are no larger than what can
/// be written.
std::int64_t whole(double value) {
  constexpr double kMost = 9.2e18;
  return static_cast<std::int64_t>(std::llround(std::clamp(value, -kMost, kMost)));
}

/// A tenth is as exact as a rate of one second is.
double rate(double value) {
  return std::round(value * 10) / 10;
}

double seconds(Duration duration) {
  return std::chrono::duration<double>(duration).count();
}

Json to_json(const Aggregate::Distribution& distribution) {
  const Histogram& all = distribution.all;
  Json json;
  json["count"] = all.count();
  json["mean_seconds"] =
      all.count() == 0 ? 0.0
                       : static_cast<double>(all.sum_ns()) / 1e9 / static_cast<double>(all.count());
  json["p50_seconds"] = seconds(all.quantile(0.50));
  json["p99_seconds"] = seconds(all.quantile(0.99));
  json["recent_count"] = distribution.recent.count();
  json["recent_p50_seconds"] = seconds(distribution.recent.quantile(0.50));
  json["recent_p99_seconds"] = seconds(distribution.recent.quantile(0.99));
  return json;
}

Json to_json(const std::vector<Aggregate::Node>& nodes) {
  Json json = Json::array();
  for (const Aggregate::Node& node : nodes) {
    json.push_back({{"name", node.name},
                    {"role", to_string(node.role)},
                    {"incarnation", to_string(node.incarnation)},
                    {"uptime_seconds", static_cast<double>(node.uptime_ms) / 1000.0}});
  }
  return json;
}

/// `aggregate`: of this task alone.
Json task_to_json(const Aggregate& aggregate, const std::string& task) {
  const auto of_task = [&](const char* name) { return aggregate.total(name); };
  Json json;
  json["deliveries"] = whole(of_task("tempest_deliveries_total").value);
  json["handled"] = whole(of_task("tempest_task_handled_total").value);
  Json outcomes = Json::object();
  for (const auto& [series, number] : aggregate.numbers) {
    if (series.name != "tempest_task_handled_total") continue;
    outcomes[std::string(series.label("outcome"))] = whole(number.value);
  }
  json["outcomes"] = std::move(outcomes);
  json["handled_per_second"] = rate(of_task("tempest_task_handled_total").per_second);
  json["retried"] = whole(of_task("tempest_deliveries_retried_total").value);
  json["timed_out"] = whole(of_task("tempest_deliveries_timed_out_total").value);
  json["outputs_dropped"] = whole(of_task("tempest_outputs_dropped_total").value);
  json["outputs_untaken"] = whole(of_task("tempest_task_outputs_untaken_total").value);
  json["queued"] = whole(of_task("tempest_deliveries_queued").value);
  json["in_flight"] = whole(of_task("tempest_deliveries_in_flight").value);
  json["queued_at_workers"] = whole(of_task("tempest_task_queued").value);
  const auto handling = aggregate.merged("tempest_task_handle_seconds");
  const auto threads = aggregate.threads_by_task.find(task);
  const bool has_threads = threads != aggregate.threads_by_task.end() && threads->second > 0;
  json["capacity"] = has_threads ? handling.seconds_per_second / threads->second : 0.0;
  json["handle"] = to_json(handling);
  json["wait"] = to_json(aggregate.merged("tempest_task_wait_seconds"));
  return json;
}

Json topology_to_json(const Aggregate& aggregate) {
  const auto all = [&](const char* name) { return aggregate.total(name); };
  Json json;
  json["read"] = whole(all("tempest_messages_read_total").value);
  json["acked"] = whole(all("tempest_messages_acked_total").value);
  json["failed"] = whole(all("tempest_messages_failed_total").value);
  json["retried"] = whole(all("tempest_deliveries_retried_total").value);
  json["timed_out"] = whole(all("tempest_deliveries_timed_out_total").value);
  json["dead_lettered"] = whole(all("tempest_messages_dead_lettered_total").value);
  json["resent"] = whole(all("tempest_messages_resent_total").value);
  json["lost_at_source"] = whole(all("tempest_messages_lost_at_source_total").value);
  json["outputs_dropped"] = whole(all("tempest_outputs_dropped_total").value);
  json["outputs_untaken"] = whole(all("tempest_task_outputs_untaken_total").value);
  json["stale_results"] = whole(all("tempest_stale_results_total").value);
  json["in_flight"] = whole(all("tempest_trees_in_flight").value);
  json["pending"] = whole(all("tempest_messages_pending").value);
  json["pending_bytes"] = whole(all("tempest_pending_bytes").value);
  json["messages_per_second"] = rate(all("tempest_messages_acked_total").per_second);
  json["read_per_second"] = rate(all("tempest_messages_read_total").per_second);
  json["tree_duration"] = to_json(aggregate.merged("tempest_tree_duration_seconds"));
  Json tasks = Json::object();
  for (const auto& [task, numbers] : aggregate.by_task()) tasks[task] = task_to_json(numbers, task);
  json["tasks"] = std::move(tasks);
  json["series_left_out"] = aggregate.left_out;
  json["nodes"] = to_json(aggregate.nodes);
  return json;
}

}  // namespace

std::string to_json(const std::map<std::string, Aggregate>& topologies, const std::string& time,
                    std::uint64_t reports_refused) {
  Json json;
  json["time"] = time;
  json["reports_refused"] = reports_refused;
  json["topologies"] = Json::object();
  json["nodes"] = Json::array();
  for (const auto& [name, aggregate] : topologies) {
    if (name.empty()) {
      json["nodes"] = to_json(aggregate.nodes);
    } else {
      json["topologies"][name] = topology_to_json(aggregate);
    }
  }
  // Names are whatever nodes say; what is not UTF-8 must not be an exception.
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace tempest::stats_node
