#include "pipeline_node/roll_call.hpp"

#include <catch2/catch.hpp>
#include <chrono>

namespace tempest::pipeline_node {
namespace {

using namespace std::chrono_literals;
using Presence = tracking::Scheduler::DirectoryWorker::Presence;

constexpr TimePoint kStart{100s};
constexpr Duration kPatience = 3s;
constexpr TaskId kCount{0};

dag::Graph graph_of(dag::Grouping grouping) {
  std::vector<dag::Fault> faults;
  return dag::Graph::build({{"count", grouping}}, {}, faults);
}

/// A roll call of one task, and what was said.
struct Called {
  explicit Called(dag::Grouping grouping = dag::Grouping::key)
      : graph(graph_of(grouping)), call(graph, kPatience) {}

  void list(std::vector<std::string> names) {
    std::vector<registry::Directory::Worker> workers;
    for (std::string& name : names) workers.push_back({std::move(name), {1, 1}, {"count"}});
    call.list(workers, true);
  }
  bool turn(Duration after) { return call.turn(kStart + after, notices); }
  Presence presence(const std::string& name) const {
    for (const auto& worker : call.workers()) {
      if (worker.name == name) return worker.presence;
    }
    throw std::runtime_error("not among the workers: " + name);
  }
  registry::SlotReport report() const {
    registry::SlotReport report;
    call.fill(report);
    return report;
  }

  dag::Graph graph;
  RollCall call;
  std::vector<link::Notice> notices;
};

}  // namespace

TEST_CASE("tasks that a worker names and the topology does not have are passed over") {
  Called c;
  c.call.attach("w1", {1, 1}, {TaskId{7}, kCount, kNoTask});
  c.turn(0s);
  c.turn(2 * kPatience);
  REQUIRE(c.report().attached.size() == 1);
  CHECK(c.report().attached.front().tasks == std::vector<std::string>{"count"});
}

TEST_CASE("a listed worker that does not attach is waited for, then reported, then given up here") {
  Called c;
  c.list({"w1", "w2"});
  c.call.attach("w1", {1, 1}, {kCount});
  CHECK(c.turn(0s));
  CHECK(c.call.next_turn() == kStart + kPatience);
  CHECK_FALSE(c.turn(1s));
  CHECK(c.report().missing.empty());

  CHECK(c.turn(kPatience));
  REQUIRE(c.report().missing.size() == 1);
  CHECK(c.report().missing.front().name == "w2");
  CHECK(c.presence("w2") == Presence::expected);
  REQUIRE(c.notices.size() == 1);
  CHECK(c.notices.front().text.find("has not attached here for 3s") != std::string::npos);
  CHECK(c.notices.front().fields.front().value == "w2");
  CHECK(c.call.describe().find("'w2'") != std::string::npos);

  CHECK(c.call.next_turn() == kStart + 2 * kPatience);
  CHECK(c.turn(2 * kPatience));
  CHECK(c.presence("w2") == Presence::given_up);
  CHECK(c.presence("w1") == Presence::here);
  CHECK(c.call.next_turn() == kNever);
  CHECK(c.notices.size() == 1);

  c.call.attach("w2", {1, 1}, {kCount});
  CHECK(c.turn(20s));
  CHECK(c.report().missing.empty());
  CHECK(c.presence("w2") == Presence::expected);
  CHECK(c.call.describe().empty());
  CHECK(c.notices.size() == 2);
}

TEST_CASE("a worker that attaches in time is not spoken of") {
  Called c;
  c.list({"w1"});
  c.turn(0s);
  c.call.attach("w1", {1, 1}, {kCount});
  c.turn(1s);
  CHECK(c.call.next_turn() == kNever);
  CHECK(c.notices.empty());
  CHECK(c.report().attached.size() == 1);
  CHECK(c.report().attached.front().tasks == std::vector<std::string>{"count"});
}

TEST_CASE("an attached worker that no broker lists counts as listed after a while") {
  Called c;
  c.list({});
  c.call.attach("w1", {1, 1}, {kCount});
  c.turn(0s);
  CHECK(c.call.workers().empty());
  CHECK(c.report().attached.size() == 1);
  c.turn(2 * kPatience);
  REQUIRE(c.call.workers().size() == 1);
  CHECK(c.call.workers().front().tasks == std::vector<TaskId>{kCount});
  CHECK(c.notices.size() == 1);
  c.call.detach("w1");
  c.turn(3 * kPatience);
  CHECK(c.call.workers().empty());
}

TEST_CASE("another life of a missed worker has its own time to attach") {
  Called c;
  c.list({"w1"});
  c.turn(0s);
  c.turn(2 * kPatience);
  c.call.list({{"w1", {2, 2}, {"count"}}}, true);
  c.turn(2 * kPatience + 1s);
  CHECK(c.report().missing.empty());
  CHECK(c.call.next_turn() == kStart + 3 * kPatience + 1s);
}

TEST_CASE("nobody is missed who serves nothing, or another version of the topology") {
  Called c;
  c.call.list({{"drains", {1, 1}, {}}}, true);
  c.turn(0s);
  CHECK(c.call.next_turn() == kNever);
  c.call.list({{"w1", {1, 1}, {"count"}}}, false);
  c.turn(1s);
  CHECK(c.call.next_turn() == kNever);
}

}  // namespace tempest::pipeline_node
