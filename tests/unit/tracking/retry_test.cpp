// Attempts, the waits between them, and what ends a message for good.

#include <set>

#include "tracking_fixture.hpp"

namespace tempest::tracking {

using Texts = Pipeline::Texts;
using std::chrono::milliseconds;
using std::chrono::seconds;

// --- Backoff -------------------------------------------------------------------------------------

TEST_CASE("the wait before an attempt grows by the factor from the initial wait") {
  Random random(1);
  const Backoff backoff{milliseconds(100), 2.0, seconds(30), 0.0};
  CHECK(backoff_wait(backoff, 2, random) == milliseconds(100));
  CHECK(backoff_wait(backoff, 3, random) == milliseconds(200));
  CHECK(backoff_wait(backoff, 4, random) == milliseconds(400));
  CHECK(backoff_wait(backoff, 10, random) == milliseconds(25'600));
}

TEST_CASE("no wait is longer than the longest, up to any attempt and with any factor") {
  Random random(1);
  for (const double factor : {0.5, 1.0, 2.0, 1000.0}) {
    for (const double jitter : {0.0, 0.2, 1.0}) {
      const Backoff backoff{milliseconds(100), factor, seconds(5), jitter};
      for (std::uint32_t attempt = 0; attempt < 3000; ++attempt) {
        const Duration wait = backoff_wait(backoff, attempt, random);
        REQUIRE(wait <= seconds(5));
        REQUIRE(wait >= Duration::zero());
      }
      CHECK(backoff_wait(backoff, 4'000'000'000U, random) <= seconds(5));
    }
  }
}

TEST_CASE("an initial wait of nothing stays nothing") {
  Random random(1);
  const Backoff backoff{Duration::zero(), 2.0, seconds(5), 0.0};
  CHECK(backoff_wait(backoff, 2, random) == Duration::zero());
  CHECK(backoff_wait(backoff, 5000, random) == Duration::zero());
}

TEST_CASE("an initial wait beyond the longest is the longest") {
  Random random(1);
  const Backoff backoff{seconds(60), 2.0, seconds(5), 0.0};
  CHECK(backoff_wait(backoff, 2, random) == seconds(5));
}

TEST_CASE("a longest wait of all time does not overflow") {
  Random random(1);
  const Backoff backoff{milliseconds(100), 2.0, Duration::max(), 0.0};
  const Duration wait = backoff_wait(backoff, 5000, random);
  CHECK(wait > std::chrono::hours(24 * 365));
}

TEST_CASE("jitter takes off no more than its share, and spreads the waits over it") {
  Random random(7);
  const Backoff backoff{seconds(1), 2.0, seconds(30), 0.2};
  Duration shortest = Duration::max();
  Duration longest = Duration::zero();
  std::set<Duration> different;
  for (int i = 0; i < 1000; ++i) {
    const Duration wait = backoff_wait(backoff, 2, random);
    shortest = std::min(shortest, wait);
    longest = std::max(longest, wait);
    different.insert(wait);
  }
  CHECK(shortest >= milliseconds(800));
  CHECK(shortest < milliseconds(810));
  CHECK(longest <= seconds(1));
  CHECK(longest > milliseconds(990));
  CHECK(different.size() > 900);
}

// --- Attempts ------------------------------------------------------------------------------------

TEST_CASE("a delivery is tried exactly as often as allowed, waiting longer each time") {
  ServedPipeline p("a");
  p.source("m1");
  p.fail("a", {false, "first", {}});
  p.advance(milliseconds(99));
  CHECK(p.at_work("a").empty());
  p.advance(milliseconds(1));
  p.fail("a", {false, "second", {}});
  p.advance(milliseconds(199));
  CHECK(p.at_work("a").empty());
  p.advance(milliseconds(1));
  const auto last = p.take("a");
  CHECK(last.attempt == 3);
  CHECK(p.failed().empty());
  p.fail(last, {false, "third", {}});
  CHECK(p.failed() == Texts{"m1"});
  CHECK(p.last_failure().kind == wire::FailureKind::error);
  CHECK(p.last_failure().attempts == 3);
  CHECK(p.last_failure().retries == 2);
  CHECK(p.last_failure().reason == "third");
  CHECK(p.last_failure().worker == "w1");
  CHECK(p.last_failure().task == p.task("a"));
  CHECK(p.last_failure().payload.bytes() == "m1");
  CHECK(p.last_failure().owner == PeerId{1, 1});
  CHECK(p.counters("a").failed == 3);
  CHECK(p.counters("a").retried == 2);
  p.advance(std::chrono::hours(1));
  CHECK(p.at_work("a").empty());
  CHECK(p.is_empty());
}

TEST_CASE("one attempt, or none, allowed means no second") {
  for (const std::uint32_t most : {0U, 1U}) {
    auto rules = rules_of(FailurePolicy::retry);
    rules.max_attempts = most;
    ServedPipeline p("a", rules);
    p.source("m1");
    p.fail("a");
    CHECK(p.failed() == Texts{"m1"});
    CHECK(p.is_empty());
  }
}

TEST_CASE("more attempts than fit in 16 bits still come to an end") {
  auto rules = rules_of(FailurePolicy::retry);
  rules.max_attempts = 70'000;
  rules.backoff = {Duration::zero(), 1.0, Duration::zero(), 0.0};
  ServedPipeline p("a", rules);
  p.source("m1");
  std::uint32_t attempts = 0;
  std::vector<Scheduler::Assignment> assignments;
  while (p.tracker.failed().empty() && attempts < 80'000) {
    assignments.clear();
    p.scheduler.dispatch(p.now, {}, assignments);
    REQUIRE(assignments.size() == 1);
    ++attempts;
    p.tracker.fail(p.table.id_of(assignments[0].delivery), 0, {false, "broken", {}}, p.now);
    p.tracker.turn(p.now);
  }
  CHECK(attempts == 70'000);
  CHECK(p.is_empty());
}

TEST_CASE("siblings that are done are not done again when one is tried again") {
  ServedPipeline p("a -> b, a -> c");
  p.source("m1");
  p.done("a", {"x"});
  p.done("b");
  p.fail("c");
  p.advance(milliseconds(100));
  CHECK(p.at_work("a").empty());
  CHECK(p.at_work("b").empty());
  p.done("c");
  CHECK(p.acked() == Texts{"m1"});
  CHECK(p.is_empty());
}

TEST_CASE("siblings count their attempts each for itself") {
  ServedPipeline p("a -> b");
  p.source("m1");
  p.done("a", {"x", "y"});
  p.fail("b");
  p.fail("b");
  p.advance(milliseconds(100));
  const auto x = p.take("b");
  const auto y = p.take("b");
  CHECK(x.attempt == 2);
  CHECK(y.attempt == 2);
  p.fail(x);
  p.done(y);
  p.advance(milliseconds(200));
  CHECK(p.take("b").attempt == 3);
}

TEST_CASE("outputs of a task begin with a first attempt, whatever the task needed") {
  ServedPipeline p("a -> b");
  p.source("m1");
  p.fail("a");
  p.advance(milliseconds(100));
  p.done("a", {"x"});
  CHECK(p.take("b").attempt == 1);
}

TEST_CASE("attempts that are due at once go in the order in which they failed") {
  ServedPipeline p("a");
  for (const char* name : {"m1", "m2", "m3"}) p.source(name);
  p.dispatch();
  const auto first = p.take("a");
  p.fail("a");
  p.fail("a");
  p.advance(milliseconds(100));
  CHECK(p.at_work("a") == Texts{"m2", "m3"});
  p.done(first);
}

TEST_CASE("a task that asks for a pause gets it, and it costs no attempt") {
  ServedPipeline p("a");
  p.source("m1");
  for (int i = 0; i < 20; ++i) {
    const auto given = p.take("a");
    CHECK(given.attempt == 1);
    p.fail(given, {false, "busy", seconds(7)});
    p.advance(milliseconds(6999));
    CHECK(p.at_work("a").empty());
    p.advance(milliseconds(1));
  }
  p.fail("a");
  p.advance(milliseconds(100));
  CHECK(p.take("a").attempt == 2);
  CHECK(p.failed().empty());
}

TEST_CASE("a pause without end waits until the message is too old, and does not overflow") {
  auto rules = rules_of(FailurePolicy::retry);
  rules.max_age = seconds(30);
  ServedPipeline p("a", rules);
  p.source("m1");
  p.fail("a", {false, "busy", Duration::max()});
  CHECK(p.tracker.next_turn() == p.now + seconds(30));
  p.advance(seconds(29));
  CHECK(p.at_work("a").empty());
  p.advance(seconds(1));
  CHECK(p.failed() == Texts{"m1"});
  CHECK(p.is_empty());
}

TEST_CASE(
    "a message that gets too old in a long pause leaves nothing until that would have ended") {
  auto rules = rules_of(FailurePolicy::retry);
  rules.max_age = seconds(30);
  ServedPipeline p("a", rules);
  for (int i = 0; i < 100; ++i) {
    p.source("m");
    p.fail("a", {false, "busy", std::chrono::hours(24)});
    p.advance(seconds(30));
    CHECK(p.tracker.delayed() == 0);
  }
  CHECK(p.is_empty());
  CHECK(p.tracker.next_turn() == kNever);
}

TEST_CASE("a failure for good is not tried again, even if it asks for a pause") {
  ServedPipeline p("a");
  p.source("m1");
  p.fail("a", {true, "malformed", seconds(1)});
  CHECK(p.failed() == Texts{"m1"});
  CHECK(p.last_failure().attempts == 1);
  CHECK(p.last_failure().reason == "malformed");
  CHECK(p.counters("a").retried == 0);
  CHECK(p.is_empty());
}

TEST_CASE("a reason that is too long is cut") {
  ServedPipeline p("a");
  p.source("m1");
  p.fail("a", {true, std::string(100'000, 'x'), {}});
  CHECK(p.last_failure().reason.size() == kMaxReasonBytes);
}

// --- Policies ------------------------------------------------------------------------------------

TEST_CASE("with no policy the first failure ends the message") {
  for (const Tracker::Failure& failure :
       {Tracker::Failure{false, "x", {}}, Tracker::Failure{true, "x", {}},
        Tracker::Failure{false, "x", seconds(1)}}) {
    ServedPipeline p("a -> b", rules_of(FailurePolicy::none));
    p.source("m1");
    p.done("a", {"x", "y"});
    p.fail("b", failure);
    CHECK(p.failed() == Texts{"m1"});
    CHECK(p.at_work("b") == Texts{"y"});
    p.lose(0);
    CHECK(p.is_empty());
  }
}

TEST_CASE("with best effort the rest of the message goes on, and the first failure is told") {
  ServedPipeline p("a -> b, b -> c", rules_of(FailurePolicy::best_effort));
  p.source("m1");
  p.done("a", {"x", "y", "z"});
  p.fail("b", {false, "first", {}});
  p.done("b", {"y1"});
  CHECK(p.failed().empty());
  p.fail("b", {true, "second", {}});
  CHECK(p.at_work("c") == Texts{"y1"});
  p.done("c");
  CHECK(p.acked().empty());
  CHECK(p.failed() == Texts{"m1"});
  CHECK(p.last_failure().reason == "first");
  CHECK(p.last_failure().payload.bytes() == "x");
  CHECK(p.tracker.trees_failed() == 1);
  CHECK(p.tracker.trees_completed() == 0);
  CHECK(p.is_empty());
}

TEST_CASE("with best effort a failure is not told of the message that has its place next") {
  ServedPipeline p("a -> b", rules_of(FailurePolicy::best_effort));
  p.source("m1");
  p.done("a", {"x", "y"});
  p.fail("b");
  SECTION("when its source is lost") {
    p.forget_source();
  }
  SECTION("when it ends") {
    p.done("b");
    CHECK(p.failed() == Texts{"m1"});
  }
  p.lose(0);
  CHECK(p.is_empty());
  p.worker("w2");
  p.source("m2");
  p.done("a");
  CHECK(p.acked() == Texts{"m2"});
}

TEST_CASE("with best effort a task's timeout lets the rest go on, too") {
  ServedPipeline p("a -> b", rules_of(FailurePolicy::best_effort));
  p.source("m1");
  p.done("a", {"x", "y"});
  p.dispatch();
  const auto hung = p.take("b");
  p.done("b");
  CHECK(p.time_out(hung));
  CHECK(p.failed() == Texts{"m1"});
  CHECK(p.last_failure().kind == wire::FailureKind::task_timeout);
  CHECK_FALSE(p.done(hung));
  CHECK(p.is_empty());
}

TEST_CASE("a timeout goes by its own policy, and errors by theirs") {
  auto rules = rules_of(FailurePolicy::retry);
  rules.on_timeout = FailureRule{FailurePolicy::none, 5, {}};
  ServedPipeline p("a", rules);
  p.source("m1");
  p.fail("a");
  CHECK(p.failed().empty());
  p.advance(seconds(10));
  CHECK(p.time_out(p.take("a")));
  CHECK(p.failed() == Texts{"m1"});
  CHECK(p.last_failure().kind == wire::FailureKind::task_timeout);
}

TEST_CASE("the rules are those of the topology") {
  Topology topology;
  topology.failure.policy = FailurePolicy::best_effort;
  topology.failure.timeout = seconds(3);
  topology.failure.max_attempts = 9;
  topology.failure.backoff.factor = 3.0;
  topology.failure.on_timeout = FailureRule{FailurePolicy::none, 2, {}};
  topology.tasks.resize(2);
  topology.tasks[1].uses = "sink";
  topology.failure.max_age = seconds(5);
  const FailureRules rules = failure_rules_of(topology);
  CHECK(rules.policy == FailurePolicy::best_effort);
  CHECK(rules.tree_timeout == seconds(3));
  CHECK(rules.max_attempts == 9);
  CHECK(rules.backoff.factor == 3.0);
  CHECK(rules.rule(wire::FailureKind::error).policy == FailurePolicy::best_effort);
  CHECK(rules.rule(wire::FailureKind::worker_lost).max_attempts == 9);
  CHECK(rules.rule(wire::FailureKind::task_timeout).policy == FailurePolicy::none);
  CHECK(rules.rule(wire::FailureKind::timeout).max_attempts == 2);
  CHECK(rules.max_age == seconds(5));
  CHECK(rules.sinks == std::vector<bool>{false, true});
}

}  // namespace tempest::tracking
