#include "cli/supervisor.hpp"

#include <catch2/catch.hpp>
#include <string>

using namespace tempest;
using namespace tempest::cli;
using namespace std::chrono_literals;

namespace {

/// A broker, two workers and a source, and what the supervisor wants done with them, as text.
struct Family {
  Supervisor supervisor{{{"broker", false}, {"task-1", false}, {"task-2", false}, {"source", true}},
                        {}};
  TimePoint now{};
  std::vector<Supervisor::Action> actions;

  Family() { supervisor.start(now, actions); }

  std::string wanted() {
    const char* names[] = {"broker", "task-1", "task-2", "source"};
    const char* verbs[] = {"start ", "terminate ", "kill "};
    std::string text;
    for (const auto& action : actions) {
      if (!text.empty()) text += ", ";
      text += std::string(verbs[static_cast<int>(action.kind)]) + names[action.child];
    }
    actions.clear();
    return text;
  }
  void exited(std::size_t child, int code) { supervisor.exited(child, code, now, actions); }
  void pass(Duration duration) {
    now += duration;
    supervisor.turn(now, actions);
  }
};

constexpr std::size_t kBroker = 0, kFirst = 1, kSecond = 2, kSource = 3;

}  // namespace

TEST_CASE("all children are started") {
  Family family;
  CHECK(family.wanted() == "start broker, start task-1, start task-2, start source");
  CHECK_FALSE(family.supervisor.finished());
}

TEST_CASE("a child that dies is started again, each time after a longer wait") {
  Family family;
  family.wanted();
  for (const Duration wait : {100ms, 200ms, 400ms, 800ms, 1600ms, 3200ms, 5000ms, 5000ms}) {
    family.exited(kFirst, 137);
    CHECK(family.supervisor.next_turn() == family.now + wait);
    family.pass(wait - 1ms);
    CHECK(family.wanted().empty());
    family.pass(1ms);
    CHECK(family.wanted() == "start task-1");
  }
  CHECK(family.supervisor.restarts() == 8);
}

TEST_CASE("a child that ran for a while is started again at once-like speed") {
  Family family;
  family.exited(kFirst, 1);
  family.pass(100ms);
  family.pass(1min);
  family.wanted();
  family.exited(kFirst, 1);
  family.pass(100ms);
  CHECK(family.wanted() == "start task-1");
}

TEST_CASE("a source that dies is started again, and one that is done ends everything with 0") {
  Family family;
  family.wanted();
  family.exited(kSource, 139);
  family.pass(100ms);
  CHECK(family.wanted() == "start source");
  family.exited(kSource, 0);
  CHECK(family.wanted() == "terminate broker, terminate task-1, terminate task-2");
  family.exited(kBroker, 0);
  family.exited(kFirst, 0);
  CHECK_FALSE(family.supervisor.finished());
  family.exited(kSecond, 143);
  CHECK(family.supervisor.finished());
  CHECK(family.supervisor.exit_code() == 0);
  CHECK(family.supervisor.next_turn() == kNever);
}

TEST_CASE("a child that no restart would mend ends everything with its code") {
  Family family;
  family.wanted();
  family.exited(kSecond, 78);
  CHECK(family.wanted() == "terminate source");
  family.exited(kSource, 0);
  CHECK(family.wanted() == "terminate broker, terminate task-1");
  family.exited(kBroker, 0);
  family.exited(kFirst, 0);
  CHECK(family.supervisor.finished());
  CHECK(family.supervisor.exit_code() == 78);
}

TEST_CASE("a stop lets the source drain before the others go") {
  Family family;
  family.wanted();
  family.supervisor.stop(false, family.now, family.actions);
  CHECK(family.wanted() == "terminate source");
  family.pass(5s);
  CHECK(family.wanted().empty());
  family.exited(kSource, 0);
  CHECK(family.wanted() == "terminate broker, terminate task-1, terminate task-2");
}

TEST_CASE("a stop while the source waits to be started ends the others") {
  Family family;
  family.exited(kSource, 1);
  family.wanted();
  family.supervisor.stop(false, family.now, family.actions);
  CHECK(family.wanted() == "terminate broker, terminate task-1, terminate task-2");
  family.pass(1s);
  CHECK(family.wanted().empty());
}

TEST_CASE("a child that does not end in time is killed") {
  Family family;
  family.wanted();
  family.supervisor.stop(false, family.now, family.actions);
  family.wanted();
  family.pass(10s);
  CHECK(family.wanted() == "kill source");
  family.exited(kSource, 137);
  CHECK(family.supervisor.exit_code() == 137);
}

TEST_CASE("a second stop kills all that still runs") {
  Family family;
  family.exited(kFirst, 1);
  family.wanted();
  family.supervisor.stop(false, family.now, family.actions);
  family.wanted();
  family.supervisor.stop(true, family.now, family.actions);
  CHECK(family.wanted() ==
        "terminate broker, kill broker, terminate task-2, kill task-2, kill source");
}

TEST_CASE("a source that dies with what nothing gives again ends everything with 1") {
  Family family;
  family.wanted();
  family.supervisor.exited(kSource, 137, family.now, family.actions, true);
  CHECK(family.wanted() == "terminate broker, terminate task-1, terminate task-2");
  for (const std::size_t child : {kBroker, kFirst, kSecond}) family.exited(child, 0);
  CHECK(family.supervisor.finished());
  CHECK(family.supervisor.exit_code() == 1);
}
