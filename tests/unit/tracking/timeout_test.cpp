// Deliveries that get no answer in time, and messages that are not done in time.

#include "tracking_fixture.hpp"

namespace tempest::tracking {

using Texts = Pipeline::Texts;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {
FailureRules with_task_timeouts(std::vector<Duration> timeouts) {
  FailureRules rules = rules_of(FailurePolicy::retry);
  rules.task_timeouts = std::move(timeouts);
  return rules;
}

FailureRules with_tree_timeout(Duration timeout) {
  FailureRules rules = rules_of(FailurePolicy::retry);
  rules.tree_timeout = timeout;
  return rules;
}
}  // namespace

// --- Timeouts of deliveries ---------------------------------------------------------------------

TEST_CASE(
    "a delivery without an answer in its task's time is tried again, and its answer is stale") {
  Pipeline p("a", with_task_timeouts({seconds(1)}));
  const auto worker = p.worker("w1", {}, {2, 1000});
  p.source("m1");
  const auto hung = p.take("a");
  p.advance(milliseconds(999));
  CHECK(p.counters("a").timed_out == 0);
  p.advance(milliseconds(21));
  CHECK(p.counters("a").timed_out == 1);
  CHECK(p.counters("a").failed == 1);
  CHECK(p.scheduler.in_flight_at(worker) == 1);
  p.advance(milliseconds(100));
  const auto again = p.take("a");
  CHECK(again.attempt == 2);
  CHECK(p.scheduler.in_flight_at(worker) == 2);
  CHECK_FALSE(p.done(hung));
  CHECK(p.scheduler.in_flight_at(worker) == 1);
  CHECK(p.acked().empty());
  CHECK(p.done(again));
  CHECK(p.acked() == Texts{"m1"});
  CHECK(p.is_empty());
}

TEST_CASE("only the tasks that have a timeout time out, each by its own") {
  Pipeline p("a, b, c", with_task_timeouts({seconds(1), Duration::zero(), seconds(3)}));
  p.worker("w1");
  p.source("m1");
  p.dispatch();
  p.advance(seconds(1));
  CHECK(p.counters("a").timed_out == 1);
  CHECK(p.counters("c").timed_out == 0);
  p.advance(seconds(2));
  CHECK(p.counters("c").timed_out == 1);
  p.advance(seconds(1000));
  CHECK(p.counters("b").timed_out == 0);
}

TEST_CASE("a delivery's time begins when it is sent, not when it is made") {
  Pipeline p("a", with_task_timeouts({seconds(1)}));
  p.source("m1");
  p.advance(seconds(10));
  p.worker("w1");
  p.dispatch();
  p.advance(milliseconds(900));
  CHECK(p.counters("a").timed_out == 0);
  p.advance(milliseconds(100));
  CHECK(p.counters("a").timed_out == 1);
}

TEST_CASE("a delivery that times out at every attempt fails, and says that it was a timeout") {
  Pipeline p("a", with_task_timeouts({seconds(1)}));
  const auto worker = p.worker("w1");
  p.source("m1");
  for (int attempt = 1; attempt <= 3; ++attempt) {
    CHECK(p.dispatch() == 1);
    p.advance(seconds(1));
    p.advance(milliseconds(200));
  }
  CHECK(p.failed() == Texts{"m1"});
  CHECK(p.last_failure().kind == wire::FailureKind::task_timeout);
  CHECK(p.last_failure().task == p.task("a"));
  CHECK(p.last_failure().attempts == 3);
  CHECK(p.last_failure().worker == "w1");
  CHECK(p.last_failure().reason == "no result within 1s");
  CHECK(p.last_failure().payload.bytes() == "m1");
  CHECK(p.last_failure().retries == 2);
  CHECK(p.scheduler.in_flight_at(worker) == 3);
  p.lose(worker);
  CHECK(p.is_empty());
}

TEST_CASE("many deliveries of one message that time out at once end it once") {
  auto rules = with_task_timeouts({Duration::zero(), seconds(1)});
  rules.policy = FailurePolicy::none;
  Pipeline p("a -> b", rules);
  const auto worker = p.worker("w1");
  p.source("m1");
  p.source("m2");
  p.done("a", {"1", "2", "3"});
  p.done("a", {"4", "5"});
  p.dispatch();
  p.advance(seconds(1));
  CHECK(p.failed() == Texts{"m1", "m2"});
  CHECK(p.scheduler.in_flight_at(worker) == 5);
  p.lose(worker);
  CHECK(p.is_empty());
}

TEST_CASE("a delivery whose task asks for more time has until then, and no more") {
  Pipeline p("a", with_task_timeouts({seconds(1)}));
  p.worker("w1");
  p.source("m1");
  const auto slow = p.take("a");
  p.advance(milliseconds(900));
  CHECK(p.tracker.extend(slow.id, slow.worker, seconds(5), p.now));
  // One that would end earlier changes nothing.
  CHECK(p.tracker.extend(slow.id, slow.worker, seconds(2), p.now));
  CHECK(p.counters("a").extended == 2);
  p.advance(milliseconds(4980));
  CHECK(p.counters("a").timed_out == 0);
  SECTION("it may be done meanwhile") {
    CHECK(p.done(slow));
    CHECK(p.acked() == Texts{"m1"});
    p.advance(milliseconds(20));
    CHECK(p.is_empty());
  }
  SECTION("it may ask again") {
    CHECK(p.tracker.extend(slow.id, slow.worker, seconds(5), p.now));
    p.advance(milliseconds(4980));
    CHECK(p.counters("a").timed_out == 0);
  }
  SECTION("it may not be done") {
    p.advance(milliseconds(40));
    CHECK(p.counters("a").timed_out == 1);
    CHECK_FALSE(p.done(slow));
    p.advance(milliseconds(100));
    const auto again = p.take("a");
    CHECK(again.attempt == 2);
    // The next attempt has the plain timeout.
    p.advance(milliseconds(1020));
    CHECK(p.counters("a").timed_out == 2);
  }
}

TEST_CASE("what asks for more time and gets it too late says so") {
  auto rules = with_task_timeouts({seconds(1)});
  rules.max_attempts = 1;
  Pipeline p("a", rules);
  p.worker("w1");
  p.source("m1");
  const auto slow = p.take("a");
  CHECK(p.tracker.extend(slow.id, slow.worker, seconds(5), p.now));
  p.advance(seconds(6));
  CHECK(p.last_failure().reason == "no result within 1s and the more it asked for");
  CHECK(p.last_failure().worker == "w1");
}

TEST_CASE("who asks for more time for what is not at work there gets none") {
  Pipeline p("a, b", with_task_timeouts({seconds(1), Duration::zero()}));
  const auto worker = p.worker("w1");
  p.source("m1");
  const auto first = p.take("a");
  const auto without = p.take("b");
  CHECK_FALSE(p.tracker.extend(first.id, worker + 1, seconds(5), p.now));
  CHECK_FALSE(p.tracker.extend(without.id, worker, seconds(5), p.now));
  p.advance(milliseconds(1020));
  CHECK(p.counters("a").timed_out == 1);
  CHECK_FALSE(p.tracker.extend(first.id, worker, seconds(5), p.now));
  p.advance(milliseconds(100));
  const auto second = p.take("a");
  CHECK_FALSE(p.tracker.extend(first.id, worker, seconds(5), p.now));
  CHECK(p.tracker.extend(second.id, worker, seconds(5), p.now));
  CHECK(p.counters("a").extended == 1);
  CHECK_FALSE(Pipeline("a").tracker.extend(second.id, 0, seconds(5), p.now));
}

TEST_CASE("no task's wish lets a message take longer than its own timeout") {
  auto rules = with_task_timeouts({seconds(1)});
  rules.tree_timeout = seconds(10);
  Pipeline p("a", rules);
  p.worker("w1");
  p.source("m1");
  const auto slow = p.take("a");
  CHECK(p.tracker.extend(slow.id, slow.worker, std::chrono::hours(1), p.now));
  p.advance(seconds(9));
  CHECK(p.failed().empty());
  p.advance(seconds(1));
  CHECK(p.failed() == Texts{"m1"});
  CHECK(p.last_failure().kind == wire::FailureKind::timeout);
  CHECK_FALSE(p.done(slow));
  CHECK(p.is_empty());
}

TEST_CASE("an orphan does not time out") {
  Pipeline p("a", with_task_timeouts({seconds(1)}));
  p.worker("w1");
  p.source("m1");
  p.dispatch();
  p.forget_source();
  p.advance(seconds(10));
  CHECK(p.counters("a").timed_out == 0);
  CHECK(p.table.size() == 1);
}

TEST_CASE("the next turn is when the next thing is due, and never when nothing is") {
  auto rules = with_task_timeouts({seconds(1)});
  rules.tree_timeout = seconds(30);
  Pipeline p("a", rules);
  p.worker("w1");
  CHECK(p.tracker.next_turn() == kNever);
  p.source("m1");
  p.advance(Duration::zero());
  CHECK(p.tracker.next_turn() > p.now);
  CHECK(p.tracker.next_turn() <= p.now + seconds(1));
  p.done("a");
  CHECK(p.tracker.next_turn() == kNever);

  Pipeline no_task_timeout("a", with_tree_timeout(seconds(30)));
  no_task_timeout.worker("w1");
  no_task_timeout.source("m1");
  CHECK(no_task_timeout.tracker.next_turn() == no_task_timeout.now + seconds(30));
  no_task_timeout.fail("a");
  CHECK(no_task_timeout.tracker.next_turn() == no_task_timeout.now + milliseconds(100));
}

// --- Timeouts of trees ---------------------------------------------------------------------------

TEST_CASE("a message that is not done in time fails, and says at which task") {
  Pipeline p("a -> b", with_tree_timeout(seconds(30)));
  const auto worker = p.worker("w1", {"a"});
  p.source("m1");
  p.advance(seconds(29));
  p.source("m2");
  CHECK(p.failed().empty());
  SECTION("while at work") {
    p.dispatch();
    p.advance(seconds(1));
    CHECK(p.last_failure().task == p.task("a"));
    CHECK(p.last_failure().worker == "w1");
    CHECK(p.last_failure().reason == "not done within 30s: the task is at work on it");
  }
  SECTION("while no worker serves the task") {
    p.done("a", {"x"});
    p.advance(seconds(1));
    CHECK(p.last_failure().task == p.task("b"));
    CHECK(p.last_failure().worker.empty());
    CHECK(p.last_failure().reason == "not done within 30s: no worker serves the task");
  }
  SECTION("while no worker is free") {
    p.scheduler.set_window(worker, {0, 0});
    p.advance(seconds(1));
    CHECK(p.last_failure().reason == "not done within 30s: no worker of the task is free");
  }
  SECTION("while waiting for another attempt") {
    p.advance(milliseconds(990));
    p.fail("a");
    p.advance(milliseconds(10));
    CHECK(p.last_failure().reason == "not done within 30s: waiting for its next attempt");
    CHECK(p.tracker.delayed() == 0);
  }
  CHECK(p.failed() == Texts{"m1"});
  CHECK(p.last_failure().kind == wire::FailureKind::timeout);
  CHECK(p.counters(p.graph.node(p.last_failure().task).name).timed_out == 1);
  CHECK(p.tracker.trees_in_flight() == 1);
  p.forget_source();
  p.lose(worker);
  CHECK(p.is_empty());
}

TEST_CASE("an answer after its message has timed out is stale") {
  Pipeline p("a", with_tree_timeout(seconds(30)));
  p.worker("w1");
  p.source("m1");
  const auto late = p.take("a");
  p.advance(seconds(30));
  CHECK(p.failed() == Texts{"m1"});
  CHECK_FALSE(p.done(late));
  CHECK(p.acked().empty());
  CHECK(p.is_empty());
}

TEST_CASE("messages time out in the order in which they came, each at its own time") {
  Pipeline p("a", with_tree_timeout(seconds(30)));
  p.source("m1");
  p.advance(seconds(10));
  p.source("m2");
  p.advance(seconds(10));
  p.source("m3");
  p.worker("w1", {"a"}, {2, 100});
  p.dispatch();
  CHECK(p.take("a").parts == Texts{"m1"});
  p.done("a");
  CHECK(p.acked() == Texts{"m2"});
  p.advance(seconds(10));
  CHECK(p.failed() == Texts{"m1"});
  p.advance(seconds(19));
  CHECK(p.failed() == Texts{"m1"});
  p.advance(seconds(1));
  CHECK(p.failed() == Texts{"m1", "m3"});
}

TEST_CASE("without a timeout a message waits for ever") {
  Pipeline p("a");
  p.source("m1");
  p.advance(std::chrono::hours(24 * 365));
  CHECK(p.failed().empty());
  CHECK(p.tracker.next_turn() == kNever);
}

}  // namespace tempest::tracking
