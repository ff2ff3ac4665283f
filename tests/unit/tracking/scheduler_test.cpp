// Who gets what: shares, windows, order among tasks, and what happens when too much waits.

#include "tracking_fixture.hpp"

namespace tempest::tracking {

using Texts = Pipeline::Texts;

namespace {
std::vector<std::size_t> in_flight_at(const Pipeline& p, std::uint32_t workers) {
  std::vector<std::size_t> sizes;
  for (std::uint32_t i = 0; i < workers; ++i) sizes.push_back(p.scheduler.in_flight_at(i));
  return sizes;
}

void sources(Pipeline& p, int count) {
  for (int i = 0; i < count; ++i) p.source("m");
}
}  // namespace

TEST_CASE("shuffle gives workers even shares of what waits") {
  Pipeline p("a");
  for (const char* name : {"w1", "w2", "w3"}) p.worker(name, {}, {500, 1 << 20});
  sources(p, 300);
  CHECK(p.dispatch() == 300);
  CHECK(in_flight_at(p, 3) == std::vector<std::size_t>{100, 100, 100});
  sources(p, 100);
  p.dispatch();
  const auto sizes = in_flight_at(p, 3);
  CHECK(*std::max_element(sizes.begin(), sizes.end()) == 134);
  CHECK(*std::min_element(sizes.begin(), sizes.end()) == 133);
}

TEST_CASE("shuffle gives messages that come one by one to each idle worker in turn") {
  Pipeline p("a");
  for (const char* name : {"w1", "w2", "w3"}) p.worker(name);
  std::vector<int> counts(3);
  for (int i = 0; i < 30; ++i) {
    p.source("m");
    const auto given = p.take("a");
    ++counts[given.worker];
    p.done(given);
  }
  CHECK(counts == std::vector<int>{10, 10, 10});
}

TEST_CASE("of many quick workers one after the other gets its batch, and only then more") {
  Pipeline p("a");
  for (int i = 0; i < 4; ++i) p.worker("w" + std::to_string(i), {}, {16'384, 1 << 20, 500});
  const auto sorted = [&] {
    auto sizes = in_flight_at(p, 4);
    std::sort(sizes.begin(), sizes.end());
    return sizes;
  };
  sources(p, 100);
  p.dispatch();
  CHECK(sorted() == std::vector<std::size_t>{0, 0, 0, 100});
  sources(p, 100);
  p.dispatch();
  CHECK(sorted() == std::vector<std::size_t>{0, 0, 0, 200});
  sources(p, 1'000);
  p.dispatch();
  CHECK(sorted() == std::vector<std::size_t>{0, 200, 500, 500});
  sources(p, 2'800);
  p.dispatch();
  CHECK(sorted() == std::vector<std::size_t>{1'000, 1'000, 1'000, 1'000});
}

TEST_CASE("who is nearest to its batch gets it before others do") {
  Pipeline p("a");
  const auto one = p.worker("w1", {}, {16'384, 1 << 20, 10});
  sources(p, 9);
  p.dispatch();
  const auto two = p.worker("w2", {}, {16'384, 1 << 20, 100});
  p.scheduler.set_window(one, {16'384, 1 << 20, 9});
  sources(p, 20);
  p.dispatch();
  p.scheduler.set_window(one, {16'384, 1 << 20, 12});
  sources(p, 3);
  p.dispatch();
  CHECK(p.scheduler.in_flight_at(one) == 9);
  CHECK(p.scheduler.in_flight_at(two) == 23);
}

TEST_CASE("a batch is full with 256 KiB, too") {
  const std::string large(100 << 10, 'x');  // Not copied: it stays until the end.
  Pipeline p("a");
  for (const char* name : {"w1", "w2"}) p.worker(name, {}, {16'384, 1 << 24, 500});
  for (int i = 0; i < 6; ++i) p.source(large);
  p.dispatch();
  CHECK(in_flight_at(p, 2) == std::vector<std::size_t>{3, 3});
}

TEST_CASE("a worker that keeps a message gets no batch before others") {
  Pipeline p("a");
  for (const char* name : {"w1", "w2"}) p.worker(name, {}, {16'384, 1 << 20, 500});
  p.source("m");
  p.dispatch();
  const std::uint32_t stuck = p.scheduler.in_flight_at(0) == 1 ? 0 : 1;
  p.advance(std::chrono::milliseconds(9));
  sources(p, 10);
  p.dispatch();
  CHECK(p.scheduler.in_flight_at(stuck) == 11);
  p.advance(std::chrono::milliseconds(1));
  sources(p, 10);
  p.dispatch();
  CHECK(p.scheduler.in_flight_at(stuck) == 11);
  CHECK(p.scheduler.in_flight_at(1 - stuck) == 10);
}

TEST_CASE("slow workers share even the little there is") {
  Pipeline p("a");
  for (int i = 0; i < 4; ++i) p.worker("w" + std::to_string(i), {}, {100, 1 << 20});
  sources(p, 4);
  p.dispatch();
  CHECK(in_flight_at(p, 4) == std::vector<std::size_t>{1, 1, 1, 1});
}

TEST_CASE("the least busy worker is given work first, until all are as busy") {
  Pipeline p("a");
  const auto busy = p.worker("w1", {}, {500, 1 << 20});
  sources(p, 10);
  p.dispatch();
  const auto idle = p.worker("w2", {}, {500, 1 << 20});
  sources(p, 4);
  p.dispatch();
  CHECK(p.scheduler.in_flight_at(busy) == 10);
  CHECK(p.scheduler.in_flight_at(idle) == 4);
  sources(p, 10);
  p.dispatch();
  CHECK(p.scheduler.in_flight_at(busy) == 12);
  CHECK(p.scheduler.in_flight_at(idle) == 12);
}

TEST_CASE("busyness is of all a worker's tasks together") {
  Pipeline p("a, b");
  const auto both = p.worker("w1");
  const auto other = p.worker("w2", {"b"});
  sources(p, 6);
  p.dispatch();
  CHECK(p.scheduler.in_flight_at(both) + p.scheduler.in_flight_at(other) == 12);
  CHECK(p.scheduler.in_flight_at(both) >= 6);
  CHECK(p.scheduler.in_flight_at(other) >= 3);
}

TEST_CASE("what a full worker cannot take goes to the others") {
  Pipeline p("a");
  p.worker("w1", {}, {2, 1000});
  p.worker("w2", {}, {5, 1000});
  p.worker("w3", {}, {0, 1000});
  sources(p, 10);
  CHECK(p.dispatch() == 7);
  CHECK(in_flight_at(p, 3) == std::vector<std::size_t>{2, 5, 0});
  CHECK(p.waiting("a") == 3);
}

TEST_CASE("windows of bytes share out by bytes") {
  Pipeline p("a");
  p.worker("w1", {}, {100, 4});
  p.worker("w2", {}, {100, 8});
  for (int i = 0; i < 20; ++i) p.source("xx");
  CHECK(p.dispatch() == 6);
  CHECK(in_flight_at(p, 2) == std::vector<std::size_t>{2, 4});
}

TEST_CASE("what has been begun goes before what has not: the deepest task first") {
  Pipeline p("a -> b, b -> c");
  const auto worker = p.worker("w1", {}, {3, 1000});
  sources(p, 4);
  p.done("a", {"b1", "b2"});
  p.done("b", {"c1"});
  p.scheduler.set_window(worker, {1000, 1000});
  p.dispatch();
  const auto first = p.take("c");
  CHECK(first.parts == Texts{"c1"});

  Pipeline q("a -> b, b -> c");
  q.worker("w1", {"a"}, {2, 1000});
  sources(q, 4);
  q.done("a", {"b1", "b2"});
  q.done("a", {"b3"});
  const auto deep = q.worker("w2", {"a", "b", "c"}, {2, 1000});
  q.dispatch();
  CHECK(q.at_work("b") == Texts{"b1", "b2"});
  q.done("b", {"c1"});
  CHECK(q.at_work("c") == Texts{"c1"});
  CHECK(q.at_work("b") == Texts{"b2"});
  CHECK(q.scheduler.in_flight_at(deep) == 2);
}

TEST_CASE("a task that joins two branches of different depth goes before both") {
  Pipeline p("a -> b, b -> c, c -> d, a -> d");
  p.worker("w1", {"a"});
  sources(p, 1);
  p.done("a", {"x"});
  p.worker("w2", {"b", "c", "d"}, {1, 1000});
  CHECK(p.at_work("d") == Texts{"x"});
  CHECK(p.at_work("b").empty());
}

TEST_CASE("tasks that are not above one another share the room that there is") {
  Pipeline p("a, b, c");
  p.worker("w", {}, {30, 1 << 20});
  sources(p, 1'000);
  p.dispatch();
  for (const char* task : {"a", "b", "c"}) CHECK(p.scheduler.in_flight(p.task(task)) == 10);
}

TEST_CASE("of tasks that share each has its turn, however little room there is at a time") {
  Pipeline p("a, b, c");
  p.worker("w", {}, {1, 1 << 20});
  sources(p, 100);
  std::map<std::string, int> done;
  for (int i = 0; i < 90; ++i) {
    p.dispatch();
    for (const char* task : {"a", "b", "c"}) {
      if (p.scheduler.in_flight(p.task(task)) == 0) continue;
      ++done[task];
      p.done(task);
    }
  }
  for (const char* task : {"a", "b", "c"}) CHECK(done[task] == 30);
}

TEST_CASE("a task leaves what it has no use for to those it shares with") {
  Pipeline p("a -> b, c");
  p.worker("w", {"a", "c"}, {30, 1 << 20});
  sources(p, 1'000);
  for (int i = 0; i < 5; ++i) {
    p.dispatch();
    while (!p.at_work("a").empty()) p.done("a", {"x"});
  }
  p.worker("w2", {}, {30, 1 << 20});
  p.dispatch();
  // Of b only what there is; the rest goes to c, and then to a.
  CHECK(p.waiting("b") == 0);
  CHECK(p.scheduler.in_flight(p.task("b")) + p.scheduler.in_flight(p.task("a")) +
            p.scheduler.in_flight(p.task("c")) ==
        60);
}

TEST_CASE("a chain is served from its end, beside a task that shares with it") {
  Pipeline p("a -> b, c");
  p.worker("w", {}, {20, 1 << 20});
  sources(p, 100);
  p.dispatch();
  CHECK(p.scheduler.in_flight(p.task("a")) == 10);
  CHECK(p.scheduler.in_flight(p.task("c")) == 10);
  for (int i = 0; i < 10; ++i) p.done("a", {"x"});
  p.dispatch();
  CHECK(p.scheduler.in_flight(p.task("b")) + p.scheduler.in_flight(p.task("c")) == 20);
  CHECK(p.scheduler.in_flight(p.task("b")) >= 5);
  CHECK(p.scheduler.in_flight(p.task("a")) == 0);
}

TEST_CASE("messages of a task go in the order in which they came") {
  Pipeline p("a");
  p.worker("w1", {}, {1, 1000});
  Texts order;
  for (const char* name : {"m1", "m2", "m3"}) p.source(name);
  for (int i = 0; i < 3; ++i) {
    const auto given = p.take("a");
    order.push_back(given.parts[0]);
    p.done(given);
  }
  CHECK(order == Texts{"m1", "m2", "m3"});
}

TEST_CASE("a worker's number is used again, and means the new worker") {
  Pipeline p("a -> b");
  const auto first = p.worker("w1", {"a"});
  const auto second = p.worker("w2", {"a"});
  p.lose(first);
  CHECK(p.scheduler.worker_count() == 1);
  const auto third = p.worker("w3", {"b"});
  CHECK(third == first);
  CHECK(p.scheduler.worker_name(third) == "w3");
  p.source("m1");
  const auto given = p.take("a");
  CHECK(given.worker == second);
  p.done(given, {"x"});
  CHECK(p.take("b").worker == third);
}

// --- What makes more than it is given ------------------------------------------------------------

namespace {

QueueLimits few_made_ahead() {
  QueueLimits limits;
  limits.made_ahead = 100;
  limits.fed_ahead = 3;
  return limits;
}

const std::vector<Out> kTen(10, Out("x"));

/// "a" makes ten of each, as the scheduler has seen.
struct Making : Pipeline {
  explicit Making(std::string_view shape = "a -> b")
      : Pipeline(shape, rules_of(FailurePolicy::retry), few_made_ahead()) {
    const auto teacher = worker("teacher");
    directory({"teacher"}, 1);
    scheduler.set_settled(1);
    for (int i = 0; i < 100; ++i) {
      source("m");
      done("a", kTen);
      while (!at_work("b").empty()) done("b");
    }
    lose(teacher);
  }
};

}  // namespace

TEST_CASE("a task is given so much that what it makes keeps the next one at work, and no more") {
  Making p;
  p.worker("w1", {"a"});
  p.worker("w2", {"b"}, {20, 1 << 20});
  sources(p, 1'000);
  CHECK(p.at_work("a").size() == 10);
  // What waits counts as what is to come.
  p.done("a", kTen);
  p.done("a", kTen);
  p.done("a", kTen);
  CHECK(p.at_work("b").size() == 20);
  CHECK(p.waiting("b") == 10);
  CHECK(p.at_work("a").size() == 9);
  for (int i = 0; i < 9; ++i) p.done("a", kTen);
  CHECK(p.waiting("b") == 100);
  CHECK(p.at_work("a").empty());
  // And once it is at work, more is made.
  for (int i = 0; i < 10; ++i) p.done("b");
  CHECK(p.at_work("a").size() == 1);
}

TEST_CASE("the same of a task that is grouped by key, and its workers share alike") {
  Making p("a(key) -> b");
  p.worker("w1", {"a"});
  p.worker("w2", {"a"});
  p.directory({"w1", "w2"}, 2);
  p.scheduler.set_settled(2);
  for (int i = 0; i < 1'000; ++i) p.source("m", std::to_string(i));
  CHECK(p.dispatch() == 10);
  CHECK(in_flight_at(p, 2) == std::vector<std::size_t>{5, 5});
}

TEST_CASE("a task that makes one of each, or nothing, is given all its workers can take") {
  Pipeline p("a -> b", rules_of(FailurePolicy::retry), few_made_ahead());
  p.worker("w1", {"a"});
  sources(p, 1'000);
  CHECK(p.dispatch() == 1'000);
  for (int i = 0; i < 500; ++i) p.done("a", {"x"});
  CHECK(p.waiting("b") == 500);
  sources(p, 1'000);
  CHECK(p.dispatch() == 1'000);
}

TEST_CASE("while nothing waits below, who has little to do gets some whatever is to come") {
  Making p;
  const auto stuck = p.worker("w1", {"a"});
  sources(p, 1'000);
  CHECK(p.dispatch() == 10);
  CHECK(p.dispatch() == 0);
  // The first never answers; the others go on.
  const auto second = p.worker("w2", {"a"});
  const auto third = p.worker("w3", {"a"});
  CHECK(p.dispatch() == 6);
  CHECK(p.scheduler.in_flight_at(second) == 3);
  CHECK(p.scheduler.in_flight_at(third) == 3);
  CHECK(p.scheduler.in_flight_at(stuck) == 10);
  // As long as nothing waits.
  p.finish(p.given_to(second)[0]);
  CHECK(p.dispatch() == 1);
  REQUIRE(p.done(p.given_to(third)[0], {"x"}));
  CHECK(p.waiting("b") == 1);
  CHECK(p.dispatch() == 0);
}

TEST_CASE("one of several tasks below that has nothing to do is reason enough to make more") {
  Making p("a -> b, a:late -> c");
  p.worker("w1", {"a"});
  p.worker("w2", {"c"});
  sources(p, 1'000);
  CHECK(p.dispatch() == 10);
  for (int i = 0; i < 10; ++i) p.done("a", kTen);
  CHECK(p.waiting("b") == 100);
  CHECK(p.at_work("a").size() == 3);
  p.done("a", {"late:x"});
  CHECK(p.at_work("c").size() == 1);
  CHECK(p.at_work("a").size() == 3);
}

TEST_CASE("what a task makes of each is what it made of late") {
  Selectivity selectivity;
  CHECK(selectivity.value() == 1);
  for (int i = 0; i < 30'000; ++i) {
    for (int made = 0; made < 10; ++made) selectivity.count_made();
    selectivity.count_done();
  }
  CHECK(selectivity.value() == Approx(10).epsilon(0.01));
  for (int i = 0; i < 200'000; ++i) {
    for (int made = 0; made < 2; ++made) selectivity.count_made();
    selectivity.count_done();
  }
  CHECK(selectivity.value() == Approx(2).epsilon(0.01));
  for (int i = 0; i < 50'000; ++i) selectivity.count_done();
  CHECK(selectivity.value() == 1);
}

// --- Too much waits ------------------------------------------------------------------------------

TEST_CASE("while too much waits, a task is fed only if nothing waits below it") {
  Pipeline p("a -> b", rules_of(FailurePolicy::retry), QueueLimits{10, 1 << 20});
  p.worker("w1", {"a"}, {5, 1000});
  const auto tail = p.worker("w2", {"b"}, {1, 1000});
  sources(p, 20);
  CHECK(p.dispatch() == 5);
  for (int i = 0; i < 5; ++i) {
    std::vector<Out> outputs(4, Out("x"));
    p.done("a", outputs);
  }
  CHECK(p.waiting("b") > 0);
  CHECK(p.scheduler.queued() > 10);
  const std::size_t begun = 20 - p.waiting("a");
  p.done("b");
  p.done("b");
  CHECK(20 - p.waiting("a") == begun);
  p.scheduler.set_window(tail, {1000, 1000});
  p.dispatch();
  CHECK(p.waiting("b") == 0);
  p.dispatch();
  CHECK(20 - p.waiting("a") > begun);
}

TEST_CASE("too many bytes that wait hold back as too many messages do") {
  Pipeline p("a -> b", rules_of(FailurePolicy::retry), QueueLimits{1000, 100});
  p.worker("w1", {"a"}, {1, 1000});
  sources(p, 10);
  p.done("a", {Out("", std::string(200, 'x'), "")});
  CHECK(p.dispatch() == 0);
  p.worker("w2", {"b"});
  CHECK(p.dispatch() == 2);
}

TEST_CASE("however much waits, something can always go on until all is done") {
  for (const char* shape :
       {"a -> b, b -> c, c -> d", "a -> b, a -> c, b -> d, c -> d",
        "a -> b(key), b -> c(all), c -> d", "a, b -> c, a -> c, c -> d(each)"}) {
    Pipeline p(shape, rules_of(FailurePolicy::retry), QueueLimits{0, 0});
    p.worker("w1", {}, {2, 10});
    p.directory({"w1"}, 1);
    p.scheduler.set_settled(1);
    sources(p, 10);
    int steps = 0;
    while (p.tracker.trees_in_flight() > 0 && ++steps < 100'000) {
      p.dispatch();
      bool moved = false;
      for (const char* task : {"d", "c", "b", "a"}) {
        if (p.at_work(task).empty()) continue;
        p.done(task, {"x", "y"});
        moved = true;
        break;
      }
      REQUIRE(moved);
    }
    CHECK(p.acked().size() == 10);
    CHECK(p.is_empty());
  }
}

TEST_CASE("while too much waits, what waits at one task bounds what its ancestors may add") {
  Pipeline p("a -> b", rules_of(FailurePolicy::retry), QueueLimits{100, 1 << 20});
  p.worker("w1", {"a"}, {10, 1 << 20});
  std::size_t most = 0;
  for (int i = 0; i < 50; ++i) {
    sources(p, 10);
    p.dispatch();
    while (!p.at_work("a").empty()) p.done("a", {"x", "y", "z"});
    most = std::max(most, p.waiting("b"));
  }
  CHECK(most <= 100 + 3 * 10);
}

}  // namespace tempest::tracking
