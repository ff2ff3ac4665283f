#include "pipeline_node/timeout_log.hpp"

#include <catch2/catch.hpp>

using namespace tempest;
using namespace tempest::pipeline_node;
using std::chrono::seconds;

namespace {

struct Log {
  Log() {
    std::vector<dag::Fault> faults;
    graph = dag::Graph::build({{"slow"}, {"other"}}, {}, faults);
  }

  void add(TaskId task, const std::string& worker, std::uint32_t attempt = 1) {
    log.add({task, attempt, worker, "no result within 1s"}, graph, now, notices);
  }
  std::string field(const link::Notice& notice, const std::string& name) const {
    for (const auto& one : notice.fields) {
      if (one.name == name) return one.value;
    }
    return {};
  }
  std::map<std::string, double> counters() const {
    wire::StatsReport report;
    wire::StatsBuilder stats(report);
    log.report(graph, stats);
    std::map<std::string, double> counts;
    for (const auto& number : report.numbers) {
      REQUIRE(number.labels.size() == 2);
      counts[number.labels[0].value + " at " + number.labels[1].value] = number.value;
    }
    return counts;
  }

  dag::Graph graph;
  TimePoint now{seconds(100)};
  std::vector<link::Notice> notices;
  TimeoutLog log;
};

}  // namespace

TEST_CASE("a timeout is told with its task, worker and attempt, and counted by both") {
  Log log;
  log.add(TaskId{0}, "w1", 3);
  REQUIRE(log.notices.size() == 1);
  const link::Notice& notice = log.notices[0];
  CHECK(notice.text == "a delivery timed out: no result within 1s");
  CHECK(log.field(notice, "task") == "slow");
  CHECK(log.field(notice, "worker") == "w1");
  CHECK(log.field(notice, "attempt") == "3");
  CHECK(log.counters() == std::map<std::string, double>{{"slow at w1", 1}});
}

TEST_CASE("of many timeouts of a task at a worker one is told, and later how many there were") {
  Log log;
  for (int i = 0; i < 1000; ++i) log.add(TaskId{0}, "w1");
  log.add(TaskId{1}, "w1");
  log.add(TaskId{0}, "w2");
  CHECK(log.notices.size() == 3);
  log.now += seconds(10);
  log.add(TaskId{0}, "w1");
  REQUIRE(log.notices.size() == 4);
  CHECK(log.field(log.notices[3], "deliveries") == "1000");
  CHECK(log.counters() ==
        std::map<std::string, double>{{"slow at w1", 1001}, {"other at w1", 1}, {"slow at w2", 1}});
}

TEST_CASE("workers that come and go do not make the counters grow without an end") {
  Log log;
  for (int i = 0; i < 1000; ++i) log.add(TaskId{0}, "w" + std::to_string(i));
  const auto counters = log.counters();
  CHECK(counters.size() == 257);
  CHECK(counters.at("slow at ") == 744);
}
