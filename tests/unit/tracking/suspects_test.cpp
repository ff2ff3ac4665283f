// Messages that kill their worker: found without harm to those that happened to be beside them.

#include <map>

#include "tracking_fixture.hpp"

namespace tempest::tracking {

using Texts = Pipeline::Texts;

namespace {

/// Lets the workers of `p` handle everything, where whoever is given "poison" dies with all it has
/// and is started again under its name. Returns how often that happened.
int run_with_poison(Pipeline& p, std::map<std::uint32_t, std::string> workers, int rounds = 1000) {
  int deaths = 0;
  for (int round = 0; round < rounds; ++round) {
    p.advance(std::chrono::milliseconds(50));
    p.dispatch();
    for (const auto& [number, name] : std::map(workers)) {
      const auto given = p.given_to(number);
      const bool dies = std::any_of(given.begin(), given.end(), [](const Pipeline::Given& one) {
        return one.parts.front() == "poison";
      });
      if (dies) {
        ++deaths;
        p.die(number);
        workers.erase(number);
        workers.emplace(p.worker(name), name);
      } else {
        for (const auto& one : given) p.finish(one);
      }
    }
  }
  return deaths;
}

}  // namespace

TEST_CASE("one lost worker makes no suspects: all it had goes out again in bulk") {
  Pipeline p("a");
  const auto first = p.worker("w1");
  for (const char* name : {"m1", "m2", "m3"}) p.source(name);
  CHECK(p.at_work("a").size() == 3);
  p.die(first);
  CHECK(p.scheduler.suspects_waiting() == 0);
  p.worker("w2");
  CHECK(p.at_work("a") == Texts{"m1", "m2", "m3"});
}

TEST_CASE("what was at two workers when they died is given out one at a time") {
  Pipeline p("a");
  for (const char* name : {"m1", "m2", "m3"}) p.source(name);
  for (int i = 0; i < 2; ++i) {
    const auto worker = p.worker("w");
    CHECK(p.at_work("a").size() == 3);
    p.die(worker);
  }
  CHECK(p.scheduler.suspects_waiting() == 3);
  p.worker("w");
  p.source("fresh");
  CHECK(p.at_work("a") == Texts{"m1"});
  p.done("a");
  CHECK(p.at_work("a") == Texts{"m2"});
  p.done("a");
  p.done("a");
  CHECK(p.at_work("a") == Texts{"fresh"});
  p.done("a");
  CHECK(p.counters("a").failed == 0);
  CHECK(p.is_empty());
}

TEST_CASE("several idle workers look at suspects at the same time, each at one") {
  Pipeline p("a");
  for (const char* name : {"m1", "m2", "m3"}) p.source(name);
  for (int i = 0; i < 2; ++i) {
    const auto worker = p.worker("w");
    p.dispatch();
    p.die(worker);
  }
  p.worker("x");
  p.worker("y");
  CHECK(p.at_work("a") == Texts{"m1", "m2"});
}

TEST_CASE("where no worker is idle one is kept from new work until it can take a suspect") {
  Pipeline p("a");
  p.source("suspect");
  for (int i = 0; i < 2; ++i) {
    const auto worker = p.worker("w");
    p.dispatch();
    p.die(worker);
  }
  // Nobody serves it now; then a busy worker comes that had work before the suspect returned.
  const auto busy = p.worker("busy", {}, {10, 1 << 20});
  const auto given = p.take("a");
  CHECK(given.parts == Texts{"suspect"});
  p.source("m1");
  CHECK(p.dispatch() == 0);
  p.die(busy);
  const auto other = p.worker("other", {}, {10, 1 << 20});
  CHECK(p.at_work("a") == Texts{"m1"});  // The suspect waits for its next attempt.
  p.source("m2");
  p.advance(std::chrono::milliseconds(100));
  CHECK(p.dispatch() == 0);
  p.done("a");
  CHECK(p.at_work("a") == Texts{"suspect"});
  p.done("a");
  CHECK(p.at_work("a") == Texts{"m2"});
  CHECK(p.scheduler.in_flight_at(other) == 1);
}

TEST_CASE("a message that kills every worker ends as worker_lost, and takes nobody with it") {
  Pipeline p("a");
  std::map<std::uint32_t, std::string> workers;
  for (const char* name : {"w1", "w2", "w3", "w4"}) {
    workers.emplace(p.worker(name, {}, {50, 1 << 20}), name);
  }
  for (int i = 0; i < 500; ++i) p.source(i == 250 ? "poison" : "m" + std::to_string(i));
  const int deaths = run_with_poison(p, workers);
  CHECK(p.acked().size() == 499);
  CHECK(p.failed() == Texts{"poison"});
  CHECK(p.last_failure().kind == wire::FailureKind::worker_lost);
  CHECK(p.last_failure().attempts == 3);
  CHECK(p.counters("a").failed == 3);
  CHECK(p.counters("a").killed_workers == 3);
  CHECK(deaths == 2 + 3);
  CHECK(p.is_empty());
}

TEST_CASE("a poisonous key is found too, and its neighbours keep their order") {
  Pipeline p("a(key)");
  p.directory({"w"}, 1);
  p.scheduler.set_settled(1);
  std::map<std::uint32_t, std::string> workers{{p.worker("w", {}, {50, 1 << 20}), "w"}};
  for (const char* name : {"m1", "m2", "poison", "m3", "m4"}) p.source(name, "k");
  run_with_poison(p, workers);
  CHECK(p.acked() == Texts{"m1", "m2", "m3", "m4"});
  CHECK(p.failed() == Texts{"poison"});
  CHECK(p.last_failure().kind == wire::FailureKind::worker_lost);
  CHECK(p.is_empty());
}

TEST_CASE("a worker that leaves by its own wish makes no suspects, however often") {
  Pipeline p("a");
  p.source("m");
  for (int i = 0; i < 10; ++i) {
    const auto worker = p.worker("w");
    CHECK(p.at_work("a").size() == 1);
    p.lose(worker);
  }
  CHECK(p.scheduler.suspects_waiting() == 0);
  CHECK(p.counters("a").failed == 0);
}

TEST_CASE("a suspect whose time is over no longer keeps its worker to itself") {
  FailureRules rules = rules_of(FailurePolicy::none);
  rules.tree_timeout = std::chrono::seconds(1);
  Pipeline p("a", rules);
  p.source("hangs");
  for (int i = 0; i < 2; ++i) {
    const auto worker = p.worker("w");
    p.dispatch();
    p.die(worker);
  }
  p.worker("w");
  CHECK(p.at_work("a") == Texts{"hangs"});
  p.advance(std::chrono::seconds(1));
  CHECK(p.failed() == Texts{"hangs"});
  p.source("m");
  CHECK(p.dispatch() == 1);
}

namespace {
/// Two workers die of "hangs", or so it looks; then it hangs at a third one until its task's time
/// is over, and is to be tried again.
std::uint32_t hang_as_suspect(Pipeline& p, Scheduler::Window window) {
  p.source("hangs");
  for (int i = 0; i < 2; ++i) {
    const auto worker = p.worker("w");
    p.dispatch();
    p.die(worker);
  }
  const auto worker = p.worker("w", {}, window);
  CHECK(p.take("a").parts == Texts{"hangs"});
  p.advance(std::chrono::seconds(1));
  p.advance(std::chrono::milliseconds(100));
  CHECK(p.scheduler.suspects_waiting() == 1);
  return worker;
}

FailureRules with_task_timeout() {
  FailureRules rules = rules_of(FailurePolicy::retry);
  rules.task_timeouts = {std::chrono::seconds(1)};
  return rules;
}
}  // namespace

TEST_CASE("a worker that hangs with an orphan is not kept from new work for a suspect for ever") {
  for (const char* shape : {"a", "a(key)"}) {
    Pipeline p(shape, with_task_timeout());
    p.directory({"w"}, 1);
    p.scheduler.set_settled(1);
    hang_as_suspect(p, {10, 1000});
    p.source("m");
    CHECK(p.at_work("a") == Texts{"hangs"});
    p.done("a");
    p.done("a");
    CHECK(p.acked() == Texts{"hangs", "m"});
  }
}

TEST_CASE("a worker full of orphans is not the one that a suspect waits for") {
  Pipeline p("a", with_task_timeout());
  const auto hung = hang_as_suspect(p, {1, 1000});
  const auto busy = p.worker("busy");
  p.scheduler.set_window(busy, {0, 0});
  CHECK(p.dispatch() == 0);
  p.scheduler.set_window(busy, {10, 1000});
  CHECK(p.at_work("a") == Texts{"hangs"});
  CHECK(p.scheduler.in_flight_at(hung) == 1);
  CHECK(p.scheduler.in_flight_at(busy) == 1);
}

TEST_CASE("a worker that takes no more is not the one that a suspect waits for") {
  Pipeline p("a");
  p.source("s");
  for (int i = 0; i < 2; ++i) {
    const auto worker = p.worker("w");
    p.dispatch();
    p.die(worker);
  }
  p.worker("drains", {}, {0, 0});
  const auto busy = p.worker("busy", {}, {2, 1000});
  CHECK(p.at_work("a") == Texts{"s"});
  p.done("a");
  for (int i = 0; i < 2; ++i) {
    p.source("t");
    for (int j = 0; j < 2; ++j) p.source("m");
  }
  p.dispatch();
  CHECK(p.scheduler.in_flight_at(busy) == 2);
  p.die(busy);
  const auto second = p.worker("busy", {}, {2, 1000});
  p.dispatch();
  p.die(second);
  const auto third = p.worker("busy", {}, {2, 1000});
  REQUIRE(p.scheduler.suspects_waiting() == 2);
  // Each in turn, though there is always something else that this worker could do.
  p.done("a");
  p.done("a");
  CHECK(p.scheduler.suspects_waiting() == 0);
  CHECK(p.scheduler.in_flight_at(third) == 0);
}

}  // namespace tempest::tracking
