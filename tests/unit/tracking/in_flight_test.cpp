// What is at workers: counts, credit, timeouts, and what happens when a node is lost.

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

// --- Counts and credit -------------------------------------------------------------------------

TEST_CASE("what waits and what is in flight is counted by task and by worker") {
  Pipeline p("a -> b");
  const auto first = p.worker("w1", {"a"}, {2, 1000});
  const auto second = p.worker("w2", {"b"}, {1, 1000});
  for (const char* name : {"m1", "m2", "m3"}) p.source(name);
  CHECK(p.waiting("a") == 3);
  CHECK(p.scheduler.queued_bytes() == 6);
  CHECK(p.dispatch() == 2);
  CHECK(p.waiting("a") == 1);
  CHECK(p.scheduler.queued() == 1);
  CHECK(p.scheduler.queued_bytes() == 2);
  CHECK(p.scheduler.in_flight(p.task("a")) == 2);
  CHECK(p.scheduler.in_flight_at(first) == 2);
  p.done("a", {"xx", "yyy"});
  p.dispatch();
  CHECK(p.waiting("b") == 1);
  CHECK(p.scheduler.in_flight(p.task("b")) == 1);
  CHECK(p.scheduler.in_flight_at(second) == 1);
  CHECK(p.scheduler.workers_of(p.task("a")) == 1);
  CHECK(p.scheduler.worker_count() == 2);
  CHECK(p.tracker.trees_in_flight() == 3);
}

TEST_CASE("a worker gets no more messages than its window, and each answer makes room for one") {
  Pipeline p("a");
  p.worker("w1", {}, {2, 1000});
  for (const char* name : {"m1", "m2", "m3", "m4"}) p.source(name);
  CHECK(p.at_work("a") == Texts{"m1", "m2"});
  p.done("a");
  CHECK(p.at_work("a") == Texts{"m2", "m3"});
  p.fail("a");
  CHECK(p.at_work("a") == Texts{"m3", "m4"});
}

TEST_CASE("a worker whose window of bytes is full gets nothing until an answer makes room") {
  Pipeline p("a");
  p.worker("w1", {}, {100, 10});
  for (const char* name : {"12345", "67890", "abcde"}) p.source(name);
  CHECK(p.at_work("a") == Texts{"12345", "67890"});
  p.done("a");
  CHECK(p.at_work("a") == Texts{"67890", "abcde"});
}

TEST_CASE("keys count against a window of bytes") {
  Pipeline p("a");
  p.worker("w1", {}, {100, 10});
  p.source("1", "a long key");
  p.source("2");
  CHECK(p.at_work("a") == Texts{"1"});
}

TEST_CASE("a message larger than the whole window of bytes goes by itself") {
  Pipeline p("a");
  p.worker("w1", {}, {100, 4});
  p.source("a large message");
  p.source("m2");
  CHECK(p.at_work("a") == Texts{"a large message"});
  p.done("a");
  CHECK(p.at_work("a") == Texts{"m2"});
}

TEST_CASE("a worker with a window of nothing gets nothing") {
  Pipeline p("a");
  const auto worker = p.worker("w1", {}, {0, 1000});
  p.source("m1");
  CHECK(p.dispatch() == 0);
  p.scheduler.set_window(worker, {1, 1000});
  CHECK(p.at_work("a") == Texts{"m1"});
}

TEST_CASE("a window made smaller takes nothing back, and holds once enough has been answered") {
  Pipeline p("a");
  const auto worker = p.worker("w1", {}, {3, 1000});
  for (const char* name : {"m1", "m2", "m3", "m4"}) p.source(name);
  p.dispatch();
  p.scheduler.set_window(worker, {1, 1000});
  p.done("a");
  p.done("a");
  CHECK(p.at_work("a") == Texts{"m3"});
  p.done("a");
  CHECK(p.at_work("a") == Texts{"m4"});
}

TEST_CASE("a window is one for all the tasks that a worker serves") {
  Pipeline p("a, b");
  p.worker("w1", {}, {1, 1000});
  p.source("m1");
  CHECK(p.dispatch() == 1);
  CHECK(p.dispatch() == 0);
}

TEST_CASE("a worker that cannot be written to now gets nothing") {
  Pipeline p("a, k(key)");
  const auto worker = p.worker("w1");
  p.directory({"w1"}, 1);
  p.scheduler.set_settled(1);
  p.source("m1");
  std::vector<bool> blocked(worker + 1, true);
  CHECK(p.dispatch(blocked) == 0);
  blocked[worker] = false;
  CHECK(p.dispatch(blocked) == 2);
}

TEST_CASE("a worker gets only the tasks it serves") {
  Pipeline p("a -> b");
  const auto first = p.worker("w1", {"a"});
  const auto second = p.worker("w2", {"b"});
  p.source("m1");
  const auto a = p.take("a");
  CHECK(a.worker == first);
  p.done(a, {"x"});
  CHECK(p.take("b").worker == second);
}

TEST_CASE("a task that no worker serves waits") {
  Pipeline p("a -> b");
  p.worker("w1", {"a"});
  p.source("m1");
  p.done("a", {"x"});
  CHECK(p.dispatch() == 0);
  CHECK(p.waiting("b") == 1);
  p.worker("w2", {"b"});
  CHECK(p.at_work("b") == Texts{"x"});
}

TEST_CASE("a worker that says it serves a task which does not exist serves the others") {
  Pipeline p("a");
  const std::vector<TaskId> tasks{TaskId{7}, TaskId{0}, kNoTask};
  p.scheduler.add_worker("w1", tasks, {10, 1000});
  p.source("m1");
  CHECK(p.at_work("a") == Texts{"m1"});
}

// --- Orphans -------------------------------------------------------------------------------------

TEST_CASE("an orphan keeps its worker's credit until it is answered, whatever the answer") {
  for (const int answer : {0, 1, 2, 3}) {
    Pipeline p("a");
    const auto worker = p.worker("w1", {}, {1, 1000});
    p.source("m1", {}, PeerId{1, 1});
    p.source("m2", {}, PeerId{2, 1});
    const auto orphan = p.take("a");
    p.forget_source(PeerId{1, 1});
    CHECK(p.dispatch() == 0);
    CHECK(p.scheduler.in_flight_at(worker) == 1);
    CHECK(p.tracker.trees_in_flight() == 1);
    if (answer == 0) CHECK_FALSE(p.done(orphan, {"x"}));
    if (answer == 1) CHECK_FALSE(p.fail(orphan));
    if (answer == 2) CHECK_FALSE(p.give_back(orphan));
    if (answer == 3) CHECK_FALSE(p.fail(orphan, {true, "no", {}}));
    CHECK(p.tracker.stale_results() == 1);
    CHECK(p.scheduler.in_flight_at(worker) == 0);
    CHECK(p.at_work("a") == Texts{"m2"});
    p.done("a");
    CHECK(p.acked() == Texts{"m2"});
    CHECK(p.is_empty());
  }
}

TEST_CASE("an orphan is given back by no other worker than the one that has it") {
  Pipeline p("a");
  const auto worker = p.worker("w1");
  const auto other = p.worker("w2", {"a"}, {0, 0});
  p.source("m1");
  auto orphan = p.take("a");
  p.forget_source();
  orphan.worker = other;
  CHECK_FALSE(p.done(orphan));
  CHECK(p.scheduler.in_flight_at(worker) == 1);
  orphan.worker = worker;
  CHECK_FALSE(p.done(orphan));
  CHECK_FALSE(p.done(orphan));
  CHECK(p.is_empty());
}

TEST_CASE("an orphan goes with its worker") {
  Pipeline p("a");
  const auto worker = p.worker("w1");
  p.source("m1");
  p.dispatch();
  p.forget_source();
  CHECK(p.table.size() == 1);
  p.lose(worker);
  CHECK(p.is_empty());
  CHECK(p.counters("a").returned == 0);
}

TEST_CASE(
    "what fails for good leaves its siblings at workers as orphans, and takes back the rest") {
  Pipeline p("a -> b, a -> c");
  const auto worker = p.worker("w1", {"a", "b"});
  p.source("m1");
  p.done("a", {"x", "y"});
  const auto sibling = p.take("b");
  p.fail("b", {true, "no", {}});
  CHECK(p.failed() == Texts{"m1"});
  CHECK(p.scheduler.queued() == 0);
  CHECK(p.scheduler.in_flight_at(worker) == 1);
  CHECK_FALSE(p.done(sibling, {"x"}));
  CHECK(p.acked().empty());
  CHECK(p.is_empty());
}

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

// --- Nodes lost ----------------------------------------------------------------------------------

TEST_CASE("a lost source's messages end without a word, and only its own") {
  ServedPipeline p("a -> b, b -> sum(all)");
  p.source("m1", {}, PeerId{1, 1});
  p.source("m2", {}, PeerId{2, 1});
  p.source("m3", {}, PeerId{1, 2});
  p.done("a", {"x"});
  p.done("b", {"y"});
  p.forget_source(PeerId{1, 1});
  CHECK(p.acked().empty());
  CHECK(p.failed().empty());
  CHECK(p.tracker.trees_forgotten() == 1);
  p.done("a");
  p.done("a");
  CHECK(p.acked() == Texts{"m2", "m3"});
  CHECK(p.at_work("sum").empty());
  CHECK(p.is_empty());
}

TEST_CASE("a lost source's messages that wait for another attempt leave nothing behind") {
  ServedPipeline p("a");
  p.source("m1");
  p.fail("a", {false, "later", std::chrono::hours(24)});
  CHECK(p.tracker.delayed() == 1);
  p.forget_source();
  CHECK(p.is_empty());
  CHECK(p.tracker.next_turn() == kNever);
}

TEST_CASE("a lost worker's deliveries go first again in order, as no attempt and with new ids") {
  Pipeline p("a");
  const auto lost = p.worker("w1", {}, {3, 1000});
  for (const char* name : {"m1", "m2", "m3", "m4"}) p.source(name);
  p.dispatch();
  const auto second = p.take("a");
  REQUIRE(second.parts == Texts{"m1"});
  p.lose(lost);
  CHECK(p.counters("a").returned == 3);
  CHECK(p.counters("a").failed == 0);
  const auto next = p.worker("w2");
  REQUIRE(next == lost);
  CHECK(p.at_work("a") == Texts{"m1", "m2", "m3", "m4"});
  CHECK_FALSE(p.done(second));
  for (int i = 0; i < 4; ++i) {
    const auto given = p.take("a");
    CHECK(given.attempt == 1);
    CHECK(p.done(given));
  }
  CHECK(p.acked() == Texts{"m1", "m2", "m3", "m4"});
  CHECK(p.is_empty());
}

TEST_CASE("a lost worker's deliveries of every task go back, behind those it was given before") {
  Pipeline p("a -> b");
  const auto lost = p.worker("w1");
  p.source("m1");
  p.source("m2");
  p.done("a", {"x", "y"});
  p.dispatch();
  p.lose(lost);
  CHECK(p.waiting("a") == 1);
  CHECK(p.waiting("b") == 2);
  p.worker("w2");
  CHECK(p.at_work("b") == Texts{"x", "y"});
  CHECK(p.at_work("a") == Texts{"m2"});
}

TEST_CASE("a worker that is lost in the middle of an attempt keeps the count of attempts") {
  Pipeline p("a");
  const auto lost = p.worker("w1");
  p.source("m1");
  p.fail("a");
  p.advance(milliseconds(100));
  p.dispatch();
  p.lose(lost);
  p.worker("w2");
  CHECK(p.take("a").attempt == 2);
}

TEST_CASE("deliveries given back keep the order in which they were sent, before what waits") {
  for (const char* shape : {"a", "a(key)"}) {
    Pipeline p(shape);
    const auto draining = p.worker("w1", {}, {4, 1000});
    p.directory({"w1"}, 1);
    p.scheduler.set_settled(1);
    for (const char* name : {"m1", "m2", "m3", "m4", "m5"}) p.source(name, "key");
    p.dispatch();
    const auto executing = p.take("a");
    const auto second = p.take("a");
    const auto third = p.take("a");
    const auto fourth = p.take("a");
    p.scheduler.set_window(draining, {0, 0});
    p.give_back(second);
    p.give_back(third);
    p.give_back(fourth);
    SECTION(std::string("and all after it, what it was at: ") + shape) {
      p.lose(draining);
      p.worker("w1");
      CHECK(p.at_work("a") == Texts{"m1", "m2", "m3", "m4", "m5"});
    }
    SECTION(std::string("once it has done what it was at: ") + shape) {
      p.done(executing);
      p.worker("w1");
      CHECK(p.at_work("a") == Texts{"m2", "m3", "m4", "m5"});
    }
    SECTION(std::string("though what was given back has gone out again meanwhile: ") + shape) {
      p.done(executing);
      p.worker("w1", {}, {2, 1000});
      const auto again = p.take("a");
      const auto other = p.take("a");
      CHECK(again.parts == Texts{"m2"});
      p.give_back(again);
      p.give_back(other);
      p.worker("w1");
      CHECK(p.at_work("a") == Texts{"m2", "m3", "m4", "m5"});
    }
  }
}

}  // namespace tempest::tracking
