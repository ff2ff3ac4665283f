// Calls that take too long, messages that are worked on for too long, and messages that get too
// old. Waiting is none of these.

#include "tracking_fixture.hpp"

namespace tempest::tracking {

using Texts = Pipeline::Texts;
using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {
FailureRules with_tree_timeout(Duration timeout) {
  FailureRules rules = rules_of(FailurePolicy::retry);
  rules.tree_timeout = timeout;
  return rules;
}

FailureRules with_max_age(Duration max_age) {
  FailureRules rules = rules_of(FailurePolicy::retry);
  rules.max_age = max_age;
  return rules;
}

Tracker::Failure away(Duration wait = {}) {
  return {false, "connection refused", wait, true};
}
}  // namespace

// --- Waiting -------------------------------------------------------------------------------------

TEST_CASE("a message waits for a worker, or at one, for as long as it must") {
  Pipeline p("a -> b", with_tree_timeout(seconds(30)));
  p.source("m1");
  p.advance(hours(24));
  p.worker("w1", {"a"});
  const auto waits_at_its_worker = p.take("a");
  p.advance(hours(24));
  p.done(waits_at_its_worker, {"x"});
  p.advance(hours(24));
  p.worker("w2", {"b"});
  p.done("b");
  CHECK(p.acked() == Texts{"m1"});
  CHECK(p.counters("a").timed_out == 0);
  CHECK(p.is_empty());
}

TEST_CASE("the wait between two attempts does not count, however long the backoff") {
  auto rules = with_tree_timeout(milliseconds(1500));
  rules.backoff = {seconds(2), 2.0, seconds(30), 0.0};
  Pipeline p("a", rules);
  p.worker("w1");
  p.source("m1");
  p.fail("a");
  p.advance(seconds(2));
  p.fail("a");
  p.advance(seconds(4));
  p.done("a");
  CHECK(p.acked() == Texts{"m1"});
}

TEST_CASE("a pause that a task asks for does not count, and uses up no attempt") {
  Pipeline p("a", with_tree_timeout(seconds(2)));
  p.worker("w1");
  p.source("m1");
  for (int i = 0; i < 10; ++i) {
    p.fail("a", {false, "not yet", seconds(60)});
    p.advance(seconds(60));
  }
  const auto given = p.take("a");
  CHECK(given.attempt == 1);
  p.done(given);
  CHECK(p.acked() == Texts{"m1"});
}

TEST_CASE("what is away is waited for under every policy, and uses up no attempt") {
  const auto policy =
      GENERATE(FailurePolicy::retry, FailurePolicy::none, FailurePolicy::best_effort);
  auto rules = rules_of(policy);
  rules.max_attempts = 1;
  rules.tree_timeout = seconds(1);
  Pipeline p("a -> sink", rules);
  p.worker("w1");
  p.source("m1");
  p.done("a", {"x"});
  for (int i = 0; i < 200; ++i) {
    p.fail("sink", away());
    p.advance(seconds(5));
  }
  const auto given = p.take("sink");
  CHECK(given.attempt == 1);
  p.done(given);
  CHECK(p.acked() == Texts{"m1"});
  CHECK(p.counters("a").acknowledged == 1);
  CHECK(p.is_empty());
}

TEST_CASE("what has been away for long is tried less often, and often again once it is back") {
  Pipeline p("sink");
  p.worker("w1");
  p.source("m1");
  const auto wait = [&] {
    p.fail("sink", away());
    const Duration time = p.tracker.next_turn() - p.now;
    p.advance(time);
    return time;
  };
  CHECK(wait() == milliseconds(500));
  while (p.now < TimePoint(seconds(1060))) wait();
  CHECK(wait() == seconds(5));
  p.done("sink");
  p.source("m2");
  CHECK(wait() == milliseconds(500));
}

// --- Calls ---------------------------------------------------------------------------------------

TEST_CASE("a call that has been given up uses up an attempt, and what it says later is stale") {
  Pipeline p("a");
  const auto worker = p.worker("w1", {}, {2, 1000});
  p.source("m1");
  const auto hung = p.take("a");
  CHECK(p.time_out(hung));
  CHECK(p.counters("a").timed_out == 1);
  CHECK(p.counters("a").failed == 1);
  CHECK(p.scheduler.in_flight_at(worker) == 0);
  p.advance(milliseconds(100));
  const auto again = p.take("a");
  CHECK(again.attempt == 2);
  CHECK_FALSE(p.done(hung));
  CHECK_FALSE(p.time_out(hung));
  CHECK(p.acked().empty());
  CHECK(p.done(again));
  CHECK(p.acked() == Texts{"m1"});
  CHECK(p.is_empty());
}

TEST_CASE("what has timed out is run in a call of its own from then on") {
  Pipeline p("a");
  p.worker("w1");
  p.source("m1");
  p.source("m2");
  const auto hung = p.take("a");
  CHECK_FALSE(p.table.find(hung.id)->single);
  CHECK(p.time_out(hung));
  p.advance(milliseconds(100));
  p.done("a");
  const auto again = p.take("a");
  CHECK(p.table.find(again.id)->single);
  CHECK(p.give_back(again));
  CHECK(p.table.find(p.take("a").id)->single);
}

TEST_CASE("a delivery that times out at every attempt fails, and says that it was a timeout") {
  Pipeline p("a");
  p.worker("w1");
  p.source("m1");
  for (int attempt = 1; attempt <= 3; ++attempt) {
    CHECK(p.time_out(p.take("a")));
    p.advance(milliseconds(200));
  }
  CHECK(p.failed() == Texts{"m1"});
  CHECK(p.last_failure().kind == wire::FailureKind::task_timeout);
  CHECK(p.last_failure().task == p.task("a"));
  CHECK(p.last_failure().attempts == 3);
  CHECK(p.last_failure().worker == "w1");
  CHECK(p.last_failure().reason == "the call has not ended within 1s");
  CHECK(p.last_failure().payload.bytes() == "m1");
  CHECK(p.last_failure().retries == 2);
  CHECK(p.is_empty());
}

TEST_CASE("of many deliveries of one message that time out the first ends it") {
  Pipeline p("a -> b", rules_of(FailurePolicy::none));
  const auto worker = p.worker("w1");
  p.source("m1");
  p.done("a", {"1", "2", "3"});
  const auto first = p.take("b");
  const auto second = p.take("b");
  CHECK(p.time_out(first));
  CHECK_FALSE(p.time_out(second));
  CHECK(p.failed() == Texts{"m1"});
  CHECK(p.scheduler.in_flight_at(worker) == 1);
  p.lose(worker);
  CHECK(p.is_empty());
}

TEST_CASE("a wish for more time is counted, and only of what is at work there") {
  Pipeline p("a");
  const auto worker = p.worker("w1");
  p.source("m1");
  const auto slow = p.take("a");
  CHECK(p.tracker.note_extended(slow.id, worker));
  CHECK_FALSE(p.tracker.note_extended(slow.id, worker + 1));
  CHECK(p.counters("a").extended == 1);
  CHECK(p.done(slow));
  CHECK_FALSE(p.tracker.note_extended(slow.id, worker));
}

// --- Messages that are worked on for too long ----------------------------------------------------

TEST_CASE("a message that one call takes too long for fails, and says at which task") {
  Pipeline p("a -> b", with_tree_timeout(seconds(30)));
  p.worker("w1");
  p.source("m1");
  p.done("a", {"x"});
  CHECK(p.time_out(p.take("b"), true, "the call has not ended within 30s"));
  CHECK(p.failed() == Texts{"m1"});
  CHECK(p.last_failure().kind == wire::FailureKind::timeout);
  CHECK(p.last_failure().task == p.task("b"));
  CHECK(p.last_failure().worker == "w1");
  CHECK(p.last_failure().reason == "the call has not ended within 30s");
  CHECK(p.counters("b").timed_out == 1);
  CHECK(p.is_empty());
}

TEST_CASE("the work of all calls for a message adds up, and what is done in time is done") {
  Pipeline p("a -> b", with_tree_timeout(seconds(30)));
  p.worker("w1");
  p.source("m1");
  const auto first = p.take("a");
  p.advance(seconds(20));
  p.worked(first, seconds(20));
  p.done(first, {"x"});
  const auto second = p.take("b");
  p.advance(seconds(10));
  p.worked(second, seconds(10));
  SECTION("the last call ends it in time") {
    p.done(second);
    p.advance(Duration::zero());
    CHECK(p.acked() == Texts{"m1"});
  }
  SECTION("after the last call something is left") {
    p.fail(second);
    p.advance(Duration::zero());
    CHECK(p.failed() == Texts{"m1"});
    CHECK(p.last_failure().kind == wire::FailureKind::timeout);
    CHECK(p.last_failure().reason ==
          "not done within 30s of work on it: it waits for its next attempt");
  }
  CHECK(p.is_empty());
}

TEST_CASE("calls for one message that overlap count once") {
  Pipeline p("a -> b, b -> c", with_tree_timeout(seconds(3)));
  p.worker("w1");
  p.source("m1");
  p.done("a", {"1", "2", "3", "4"});
  std::vector<Pipeline::Given> all;
  for (int i = 0; i < 4; ++i) all.push_back(p.take("b"));
  p.advance(seconds(2));
  for (const auto& one : all) {
    p.worked(one, seconds(2));
    p.done(one, {"x"});
  }
  p.advance(Duration::zero());
  CHECK(p.failed().empty());
  CHECK(p.counters("b").acknowledged == 4);
  const auto next = p.take("c");
  p.advance(seconds(1));
  p.worked(next, seconds(1));
  p.done(next);
  p.advance(Duration::zero());
  CHECK(p.failed() == Texts{"m1"});
}

TEST_CASE("the time that sinks take is not counted") {
  auto rules = with_tree_timeout(seconds(1));
  rules.sinks = {false, true};
  Pipeline p("a -> sink", rules);
  p.worker("w1");
  p.source("m1");
  p.done("a", {"x", "y"});
  const auto slow = p.take("sink");
  p.advance(seconds(10));
  p.worked(slow, seconds(10));
  p.done(slow);
  p.advance(Duration::zero());
  p.done("sink");
  CHECK(p.acked() == Texts{"m1"});
}

// --- Messages that get too old -------------------------------------------------------------------

TEST_CASE(
    "a message that gets too old is given up, whatever it waits for, and says at which task") {
  Pipeline p("a -> b", with_max_age(seconds(30)));
  const auto worker = p.worker("w1", {"a"});
  p.source("m1");
  p.advance(seconds(29));
  p.source("m2");
  CHECK(p.failed().empty());
  SECTION("at a worker") {
    p.dispatch();
    p.advance(seconds(1));
    CHECK(p.last_failure().task == p.task("a"));
    CHECK(p.last_failure().worker == "w1");
    CHECK(p.last_failure().reason == "older than max_age (30s): it is at a worker");
  }
  SECTION("while no worker serves the task") {
    p.done("a", {"x"});
    p.advance(seconds(1));
    CHECK(p.last_failure().task == p.task("b"));
    CHECK(p.last_failure().worker.empty());
    CHECK(p.last_failure().reason == "older than max_age (30s): no worker serves the task");
  }
  SECTION("while no worker is free") {
    p.scheduler.set_window(worker, {0, 0});
    p.advance(seconds(1));
    CHECK(p.last_failure().reason == "older than max_age (30s): no worker of the task is free");
  }
  SECTION("while waiting for another attempt") {
    p.advance(milliseconds(990));
    p.fail("a");
    p.advance(milliseconds(10));
    CHECK(p.last_failure().reason == "older than max_age (30s): it waits for its next attempt");
    CHECK(p.tracker.delayed() == 0);
  }
  CHECK(p.failed() == Texts{"m1"});
  CHECK(p.last_failure().kind == wire::FailureKind::expired);
  CHECK(p.tracker.trees_in_flight() == 1);
  p.forget_source();
  p.lose(worker);
  CHECK(p.is_empty());
}

TEST_CASE("an answer after its message was given up is stale") {
  Pipeline p("a", with_max_age(seconds(30)));
  p.worker("w1");
  p.source("m1");
  const auto late = p.take("a");
  p.advance(seconds(30));
  CHECK(p.failed() == Texts{"m1"});
  CHECK_FALSE(p.done(late));
  CHECK(p.acked().empty());
  CHECK(p.is_empty());
}

TEST_CASE("a message's age is counted from its reading, not from when it came here") {
  Pipeline p("a", with_max_age(seconds(30)));
  p.source("m1");
  p.source("older", {}, {1, 1}, seconds(25));
  CHECK(p.tracker.next_turn() == p.now + seconds(5));
  p.advance(seconds(5));
  CHECK(p.failed() == Texts{"older"});
  p.advance(seconds(25));
  CHECK(p.failed() == Texts{"older", "m1"});
  CHECK(p.is_empty());
}

TEST_CASE("without a max_age a message waits for ever") {
  Pipeline p("a");
  p.source("m1");
  p.advance(hours(24 * 365));
  CHECK(p.failed().empty());
  CHECK(p.tracker.next_turn() == kNever);
}

}  // namespace tempest::tracking
