// What is at workers: counts, credit, and what is left there when a message is over.

#include "tracking_fixture.hpp"

namespace tempest::tracking {

using Texts = Pipeline::Texts;

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

}  // namespace tempest::tracking
