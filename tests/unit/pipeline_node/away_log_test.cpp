#include "pipeline_node/away_log.hpp"

#include <catch2/catch.hpp>

using namespace tempest;
using namespace tempest::pipeline_node;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

struct Fixture {
  Fixture() {
    std::vector<dag::Fault> faults;
    graph = dag::Graph::build({{"work"}, {"out"}}, {{"work", "out", ""}}, faults);
    REQUIRE(faults.empty());
  }

  void waits(const std::string& worker, std::string_view cause = "connection refused") {
    log.waits(TaskId{1}, worker, cause, now, graph, notices);
  }
  bool turn() { return log.turn(now, graph, notices); }
  std::size_t said(std::string_view words) const {
    return static_cast<std::size_t>(std::count_if(
        notices.begin(), notices.end(),
        [&](const link::Notice& notice) { return notice.text.find(words) != std::string::npos; }));
  }

  dag::Graph graph;
  AwayLog log;
  TimePoint now{seconds(100)};
  std::vector<link::Notice> notices;
};

}  // namespace

TEST_CASE_METHOD(Fixture, "what is away is said once for each worker, with task and cause") {
  for (int i = 0; i < 100; ++i) waits("w1");
  waits("w2");
  REQUIRE(notices.size() == 2);
  CHECK(notices[0].level == link::Notice::Level::warning);
  CHECK(notices[0].text ==
        "task 'out' cannot reach what it needs; its messages wait, and cost no attempts: "
        "connection refused");
  CHECK(notices[1].fields[1].value == "w2");
  CHECK(turn());
  CHECK_FALSE(turn());
  CHECK(log.describe(graph) ==
        "task 'out' cannot reach what it needs at worker w1: connection refused");
}

TEST_CASE_METHOD(Fixture, "what comes back for a moment is not said to be back") {
  waits("w1");
  for (int i = 0; i < 10; ++i) {
    log.works(TaskId{1}, "w1", now);
    now += milliseconds(900);
    CHECK(turn() == (i == 0));
    waits("w1");
  }
  CHECK(notices.size() == 1);
  CHECK(log.next_turn() == kNever);
  log.works(TaskId{1}, "w1", now);
  CHECK(log.next_turn() == now + AwayLog::kSteady);
  now += AwayLog::kSteady;
  CHECK(turn());
  CHECK(said("task 'out' reaches what it needs again, after 9s") == 1);
  CHECK(log.empty());
  waits("w1");
  CHECK(said("cannot reach") == 2);
}

TEST_CASE_METHOD(Fixture, "a worker that works does not speak for one that does not") {
  waits("w1");
  log.works(TaskId{1}, "w2", now);
  log.works(TaskId{0}, "w1", now);
  now += seconds(10);
  turn();
  CHECK_FALSE(log.empty());
  log.forget("w1");
  CHECK(turn());
  CHECK(log.empty());
  CHECK(notices.size() == 1);
}

TEST_CASE_METHOD(Fixture, "another cause is shown, and not said anew") {
  waits("w1");
  turn();
  waits("w1", "READONLY You can't write against a read only replica.");
  CHECK(turn());
  CHECK(notices.size() == 1);
  CHECK(log.describe(graph).find("READONLY") != std::string::npos);
}
