#include "stats_node/stats_machine.hpp"

#include <catch2/catch.hpp>
#include <limits>
#include <nlohmann/json.hpp>

#include "stats_node/aggregate_json.hpp"
#include "stats_node/metrics_text.hpp"

using namespace tempest;
using namespace tempest::stats_node;
using namespace std::chrono_literals;
using Json = nlohmann::json;
using Catch::Matchers::Contains;

namespace {

constexpr TimePoint kStart{1000s};

wire::StatsReport report_of(Role role, const std::string& node, std::uint64_t incarnation,
                            std::uint64_t uptime_ms, const std::string& topology = "count") {
  wire::StatsReport report;
  report.role = role;
  report.node = node;
  report.topology = topology;
  report.incarnation = {1, incarnation};
  report.uptime_ms = uptime_ms;
  return report;
}

/// A source that has read and acked so many, and has so many pending.
wire::StatsReport source(const std::string& node, std::uint64_t incarnation,
                         std::uint64_t uptime_ms, double acked, double pending = 0) {
  auto report = report_of(Role::source, node, incarnation, uptime_ms);
  report.numbers.push_back({"tempest_messages_read_total", {}, acked + pending, true});
  report.numbers.push_back({"tempest_messages_acked_total", {}, acked, true});
  report.numbers.push_back({"tempest_messages_pending", {}, pending, false});
  return report;
}

wire::StatsReport worker(const std::string& node, std::uint64_t uptime_ms, double done,
                         Duration each) {
  auto report = report_of(Role::task, node, 1, uptime_ms);
  report.numbers.push_back(
      {"tempest_task_handled_total", {{"task", "split"}, {"outcome", "done"}}, done, true});
  report.numbers.push_back(
      {"tempest_task_handled_total", {{"outcome", "fail"}, {"task", "split"}}, 2, true});
  report.numbers.push_back({"tempest_handler_threads", {}, 2, false});
  wire::StatsReport::Distribution distribution{
      "tempest_task_handle_seconds", {{"task", "split"}}, {}};
  distribution.histogram.record(each, static_cast<std::uint64_t>(done));
  report.distributions.push_back(distribution);
  return report;
}

double acked(const StatsMachine& machine, TimePoint now) {
  return machine.aggregate(now).at("count").total("tempest_messages_acked_total").value;
}

Json json_of(const StatsMachine& machine, TimePoint now) {
  return Json::parse(
      to_json(machine.aggregate(now), "2030-01-01T00:00:00.000Z", machine.counters().refused));
}

}  // namespace

TEST_CASE("counters and gauges of a topology are the sums over its nodes") {
  StatsMachine machine;
  machine.take(source("a", 1, 1000, 100, 7), kStart);
  machine.take(source("b", 1, 1000, 50, 3), kStart);
  auto other = source("c", 1, 1000, 9);
  other.topology = "words";
  machine.take(other, kStart);
  const auto aggregates = machine.aggregate(kStart);
  REQUIRE(aggregates.size() == 2);
  CHECK(aggregates.at("count").total("tempest_messages_acked_total").value == 150);
  CHECK(aggregates.at("count").total("tempest_messages_pending").value == 10);
  CHECK(aggregates.at("words").total("tempest_messages_acked_total").value == 9);
}

TEST_CASE("a node's next report takes the place of its last") {
  StatsMachine machine;
  machine.take(source("a", 1, 1000, 100, 7), kStart);
  machine.take(source("a", 1, 2000, 130, 2), kStart + 1s);
  CHECK(acked(machine, kStart + 1s) == 130);
  CHECK(machine.aggregate(kStart + 1s).at("count").total("tempest_messages_pending").value == 2);
}

TEST_CASE("a counter goes on from where it was when a node is started anew") {
  StatsMachine machine;
  machine.take(source("a", 1, 5000, 100), kStart);
  machine.take(source("a", 2, 1000, 10), kStart + 1s);
  CHECK(acked(machine, kStart + 1s) == 110);
  machine.take(source("a", 3, 1000, 1), kStart + 2s);
  CHECK(acked(machine, kStart + 2s) == 111);
}

TEST_CASE("a late report of a former incarnation does not count again") {
  StatsMachine machine;
  machine.take(source("a", 1, 5000, 100), kStart);
  machine.take(source("a", 2, 1000, 10), kStart);
  machine.take(source("a", 1, 6000, 105), kStart);
  CHECK(acked(machine, kStart) == 110);
  CHECK(machine.counters().repeated == 1);
}

TEST_CASE("a report that comes by way of two brokers counts once") {
  StatsMachine machine;
  for (int i = 0; i < 2; ++i) machine.take(source("a", 1, 1000, 100), kStart);
  for (int i = 0; i < 2; ++i) machine.take(source("a", 1, 2000, 200), kStart + 1s);
  CHECK(acked(machine, kStart + 1s) == 200);
  CHECK(machine.counters().repeated == 2);
  const auto number =
      machine.aggregate(kStart + 1s).at("count").total("tempest_messages_acked_total");
  CHECK(number.per_second == Approx(100));
}

TEST_CASE("rates are by the node's own time between its last two reports") {
  StatsMachine machine;
  machine.take(source("a", 1, 1000, 100), kStart);
  CHECK(machine.aggregate(kStart).at("count").total("tempest_messages_acked_total").per_second ==
        0);
  machine.take(source("a", 1, 3000, 500), kStart + 2s);
  machine.take(source("b", 1, 1000, 10), kStart + 2s);
  machine.take(source("b", 1, 2000, 60), kStart + 3s);
  CHECK(
      machine.aggregate(kStart + 3s).at("count").total("tempest_messages_acked_total").per_second ==
      Approx(200 + 50));
  // The first report of a new life says nothing of a rate.
  machine.take(source("a", 2, 1000, 40), kStart + 4s);
  CHECK(
      machine.aggregate(kStart + 4s).at("count").total("tempest_messages_acked_total").per_second ==
      Approx(50));
}

TEST_CASE("a silent node keeps its counters and loses its gauges and rates") {
  StatsMachine machine;
  machine.take(source("a", 1, 1000, 100, 7), kStart);
  machine.take(source("a", 1, 2000, 200, 7), kStart + 1s);
  machine.take(source("b", 1, 60'000, 1), kStart + 10s);
  const auto aggregate = machine.aggregate(kStart + 10s).at("count");
  CHECK(aggregate.total("tempest_messages_acked_total").value == 201);
  CHECK(aggregate.total("tempest_messages_acked_total").per_second == 0);
  CHECK(aggregate.total("tempest_messages_pending").value == 0);
  REQUIRE(aggregate.nodes.size() == 1);
  CHECK(aggregate.nodes[0].name == "b");

  // It was only paused.
  machine.take(source("a", 1, 30'000, 250, 1), kStart + 11s);
  CHECK(acked(machine, kStart + 11s) == 251);
}

TEST_CASE("a topology without a live node is not listed, and is there again with its next") {
  StatsMachine machine;
  machine.take(source("a", 1, 1000, 100), kStart);
  CHECK(machine.aggregate(kStart + 60s).empty());
  machine.take(source("a", 2, 1000, 5), kStart + 61s);
  CHECK(acked(machine, kStart + 61s) == 105);
}

TEST_CASE("the number of nodes is bounded: silent ones make room, and leave what they counted") {
  StatsMachine::Limits limits;
  limits.nodes = 2;
  StatsMachine machine(limits);
  machine.take(source("a", 1, 1000, 100), kStart);
  machine.take(source("b", 1, 1000, 10), kStart + 4s);
  machine.take(source("c", 1, 1000, 1), kStart + 4s);
  CHECK(machine.counters().refused == 1);
  CHECK(json_of(machine, kStart + 4s)["reports_refused"] == 1);
  CHECK(acked(machine, kStart + 4s) == 110);
  machine.take(source("c", 1, 4000, 1), kStart + 7s);
  CHECK(machine.counters().refused == 1);
  CHECK(acked(machine, kStart + 7s) == 111);
}

TEST_CASE("what could not be a metric is dropped, and counted") {
  StatsMachine::Limits limits;
  limits.series_per_node = 2;
  StatsMachine machine(limits);
  auto report = report_of(Role::source, "a", 1, 1000);
  const double nan = std::numeric_limits<double>::quiet_NaN();
  report.numbers.push_back({"no name", {}, 1, true});
  report.numbers.push_back({"", {}, 1, true});
  report.numbers.push_back({"x_total", {{"node", "b"}}, 1, true});
  report.numbers.push_back({"x_total", {{"a b", "b"}}, 1, true});
  report.numbers.push_back({"x_total", {}, nan, true});
  report.numbers.push_back({"x_total", {}, -1, true});
  report.numbers.push_back({"good_total", {}, 1, true});
  report.numbers.push_back({"below_zero", {}, -1, false});
  report.numbers.push_back({"too_many", {}, 1, false});
  machine.take(report, kStart);
  CHECK(machine.counters().dropped_series == 7);
  CHECK(machine.aggregate(kStart).at("count").numbers.size() == 2);
}

TEST_CASE("histograms are merged, over all time and over the last reports") {
  StatsMachine machine;
  machine.take(worker("w1", 1000, 1000, 1us), kStart);
  machine.take(worker("w2", 1000, 1000, 1us), kStart);
  auto later = worker("w1", 2000, 1000, 1us);
  later.distributions[0].histogram.record(1000ms, 10);
  machine.take(later, kStart + 1s);
  const auto merged = machine.aggregate(kStart + 1s)
                          .at("count")
                          .merged("tempest_task_handle_seconds", "task", "split");
  CHECK(merged.all.count() == 2010);
  CHECK(merged.all.quantile(0.5) == 1us);
  CHECK(merged.recent.count() == 10);
  CHECK(merged.recent.quantile(0.5) >= 1000ms);
}

TEST_CASE("the aggregate as JSON has each topology's numbers, tasks and nodes") {
  StatsMachine machine;
  machine.take(source("s", 1, 1000, 100, 5), kStart);
  machine.take(source("s", 1, 2000, 400, 5), kStart + 1s);
  machine.take(worker("w", 1000, 10, 50ms), kStart);
  machine.take(worker("w", 2000, 20, 50ms), kStart + 1s);
  auto coordinator = report_of(Role::pipeline, "c", 1, 1000);
  coordinator.numbers.push_back({"tempest_trees_in_flight", {}, 12, false});
  coordinator.numbers.push_back({"tempest_deliveries_retried_total", {{"task", "split"}}, 4, true});
  coordinator.numbers.push_back({"tempest_deliveries_retried_total", {{"task", "out"}}, 1, true});
  machine.take(coordinator, kStart + 1s);
  machine.take(report_of(Role::broker, "b", 1, 1000, ""), kStart + 1s);

  const Json json = json_of(machine, kStart + 1s);
  CHECK(json.at("time") == "2030-01-01T00:00:00.000Z");
  CHECK(json.at("nodes").at(0).at("name") == "b");
  const Json& topology = json.at("topologies").at("count");
  CHECK(topology.at("read") == 405);
  CHECK(topology.at("acked") == 400);
  CHECK(topology.at("failed") == 0);
  CHECK(topology.at("retried") == 5);
  CHECK(topology.at("dead_lettered") == 0);
  CHECK(topology.at("in_flight") == 12);
  CHECK(topology.at("pending") == 5);
  CHECK(topology.at("messages_per_second") == 300.0);
  CHECK(topology.at("nodes").size() == 3);
  const Json& task = topology.at("tasks").at("split");
  CHECK(task.at("handled") == 22);
  CHECK(task.at("outcomes") == Json{{"done", 20}, {"fail", 2}});
  CHECK(task.at("retried") == 4);
  CHECK(task.at("handled_per_second") == 10.0);
  CHECK(task.at("handle").at("count") == 20);
  CHECK(task.at("handle").at("mean_seconds") == Approx(0.05));
  // Ten of 50 ms a second, on two threads.
  CHECK(task.at("capacity") == Approx(0.25));
  CHECK(topology.at("tasks").contains("out"));
}

TEST_CASE("names that are not UTF-8 make no invalid JSON") {
  StatsMachine machine;
  auto report = source("a\xff", 1, 1000, 1);
  report.topology = "\xc3(";
  machine.take(report, kStart);
  CHECK_FALSE(json_of(machine, kStart).at("topologies").empty());
}

TEST_CASE("metrics are in Prometheus's text format, with node, role and topology as labels") {
  StatsMachine machine;
  machine.take(source("s", 1, 2000, 100), kStart);
  machine.take(worker("w\"\n", 1000, 10, 50ms), kStart);
  const std::string text = metrics_text(machine, "1.2.3", kStart);
  CHECK_THAT(text, Contains("tempest_build_info{version=\"1.2.3\"} 1"));
  CHECK_THAT(text, Contains("# TYPE tempest_messages_acked_total counter"));
  CHECK_THAT(text, Contains("tempest_messages_acked_total{node=\"s\",role=\"source\","
                            "topology=\"count\"} 100"));
  CHECK_THAT(text, Contains("# TYPE tempest_messages_pending gauge"));
  CHECK_THAT(text, Contains("# TYPE tempest_task_handle_seconds histogram"));
  CHECK_THAT(text, Contains("tempest_task_handle_seconds_bucket{node=\"w\\\"\\n\",role=\"task\","
                            "topology=\"count\",task=\"split\",le=\"+Inf\"} 10"));
  CHECK_THAT(text, Contains("tempest_task_handle_seconds_sum{"));
  CHECK_THAT(text, Contains("tempest_node_uptime_seconds{node=\"s\",role=\"source\","
                            "topology=\"count\"} 2"));
}

TEST_CASE("a name that is a counter for one node and a gauge for another breaks no metrics") {
  StatsMachine machine;
  auto first = report_of(Role::source, "a", 1, 1000);
  first.numbers.push_back({"tempest_x", {}, 1, true});
  auto second = report_of(Role::source, "b", 1, 1000);
  second.numbers.push_back({"tempest_x", {}, 2, false});
  machine.take(first, kStart);
  machine.take(second, kStart);
  const std::string text = metrics_text(machine, "1", kStart);
  CHECK_THAT(text, Contains("# TYPE tempest_x counter") && !Contains("tempest_x gauge"));
}

TEST_CASE("as many tasks as a topology may have are all shown") {
  StatsMachine machine;
  auto coordinator = report_of(Role::pipeline, "p", 1, 1000);
  auto report = report_of(Role::task, "w", 1, 1000);
  for (int i = 0; i < 1'024; ++i) {
    const std::string task = "task-" + std::to_string(i);
    for (const char* outcome :
         {"done", "retry", "fail", "returned", "unavailable", "timed_out", "tree_timed_out"}) {
      report.numbers.push_back(
          {"tempest_task_handled_total", {{"task", task}, {"outcome", outcome}}, 1, true});
    }
    for (int series = 0; series < 12; ++series) {
      coordinator.numbers.push_back(
          {"tempest_number_" + std::to_string(series), {{"task", task}}, 1, false});
    }
    report.distributions.push_back({"tempest_task_handle_seconds", {{"task", task}}, {}});
    report.distributions.push_back({"tempest_task_wait_seconds", {{"task", task}}, {}});
  }
  machine.take(report, kStart);
  machine.take(coordinator, kStart);
  const Json json = json_of(machine, kStart);
  CHECK(json["topologies"]["count"]["tasks"].size() == 1'024);
  CHECK(json["topologies"]["count"]["tasks"]["task-1023"]["handled"] == 7);
  CHECK(json["topologies"]["count"]["series_left_out"] == 0);
  CHECK_THAT(metrics_text(machine, "v", kStart), Contains("task=\"task-1023\""));
}

TEST_CASE("what there is no room for is counted, and said with the topology's numbers") {
  StatsMachine::Limits limits;
  limits.series = 5;
  StatsMachine machine(limits);
  machine.take(source("a", 1, 1000, 100), kStart);
  machine.take(source("b", 1, 1000, 10), kStart);
  CHECK(json_of(machine, kStart)["topologies"]["count"]["series_left_out"] == 1);
  CHECK_THAT(
      metrics_text(machine, "v", kStart),
      Contains("tempest_node_series_left_out{node=\"b\",role=\"source\",topology=\"count\"} 1"));
  // A later report takes the place of the one before.
  for (int i = 2; i < 10; ++i) machine.take(source("a", 1, 1000 * i, 100), kStart);
  CHECK(json_of(machine, kStart)["topologies"]["count"]["series_left_out"] == 1);
  CHECK(machine.counters().dropped_series == 1);
}

TEST_CASE("numbers that nothing can have counted are dropped, and sums are written as they are") {
  StatsMachine machine;
  auto report = source("a", 1, 1000, 1e308);
  report.numbers.push_back({"tempest_trees_in_flight", {}, -1e300, false});
  machine.take(report, kStart);
  CHECK(machine.counters().dropped_series == 3);
  Json json = json_of(machine, kStart);
  CHECK(json["topologies"]["count"]["acked"] == 0);
  CHECK(json["topologies"]["count"]["in_flight"] == 0);
  for (int i = 0; i < 1'100; ++i) {
    machine.take(source("n" + std::to_string(i), 1, 1000, 9e15), kStart);
  }
  json = json_of(machine, kStart);
  CHECK(json["topologies"]["count"]["acked"].get<double>() > 9e18);
}
