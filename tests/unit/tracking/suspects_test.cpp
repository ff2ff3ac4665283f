// Messages that kill their worker: found without harm to those that happened to be beside them.

#include <map>

#include "tracking_fixture.hpp"

namespace tempest::tracking {

using Texts = Pipeline::Texts;

namespace {

/// Lets the workers of `p` handle everything, as workers do: first what is no suspect, then one
/// suspect after the other, each announced before it runs. Whoever runs "poison" dies with all it
/// has and is started again under its name. Returns how often that happened.
int run_with_poison(Pipeline& p, std::map<std::uint32_t, std::string> workers, int rounds = 1000) {
  int deaths = 0;
  for (int round = 0; round < rounds; ++round) {
    p.advance(std::chrono::milliseconds(50));
    p.dispatch();
    for (const auto& [number, name] : std::map(workers)) {
      const auto given = p.given_to(number);
      const auto is_poison = [](const Pipeline::Given& one) {
        return one.parts.front() == "poison";
      };
      const auto first_alone = std::find_if(given.begin(), given.end(),
                                            [&](const auto& one) { return p.is_alone(one); });
      const auto running = first_alone == given.begin() && first_alone != given.end()
                               ? first_alone + 1
                               : first_alone;
      if (running != first_alone) REQUIRE(p.tracker.start(first_alone->id, number));
      if (std::any_of(given.begin(), running, is_poison)) {
        ++deaths;
        p.die(number);
        workers.erase(number);
        workers.emplace(p.worker(name), name);
        continue;
      }
      std::for_each(given.begin(), running, [&](const auto& one) { p.finish(one); });
    }
  }
  return deaths;
}

/// Two workers die with all that waits.
void lose_two_workers(Pipeline& p) {
  for (int i = 0; i < 2; ++i) {
    const auto worker = p.worker("w");
    p.dispatch();
    p.die(worker);
  }
}

}  // namespace

TEST_CASE("one lost worker makes no suspects: all it had goes out again as before") {
  Pipeline p("a");
  const auto first = p.worker("w1");
  for (const char* name : {"m1", "m2", "m3"}) p.source(name);
  CHECK(p.at_work("a").size() == 3);
  p.die(first);
  CHECK(p.scheduler.suspects_waiting() == 0);
  const auto second = p.worker("w2");
  CHECK(p.at_work("a") == Texts{"m1", "m2", "m3"});
  for (const auto& given : p.given_to(second)) CHECK_FALSE(p.is_alone(given));
}

TEST_CASE("what was at two workers when they died is to be run alone, and what is new is not") {
  Pipeline p("a");
  for (const char* name : {"m1", "m2", "m3"}) p.source(name);
  lose_two_workers(p);
  CHECK(p.scheduler.suspects_waiting() == 3);
  const auto worker = p.worker("w");
  p.source("fresh");
  CHECK(p.at_work("a") == Texts{"m1", "m2", "m3", "fresh"});
  for (const auto& given : p.given_to(worker)) {
    CHECK(p.is_alone(given) == (given.parts.front() != "fresh"));
  }
  for (int i = 0; i < 4; ++i) p.done("a");
  CHECK(p.counters("a").failed == 0);
  CHECK(p.is_empty());
}

TEST_CASE("what a worker had started when it died has failed once, and nothing else has") {
  Pipeline p("a");
  for (const char* name : {"m1", "m2", "m3"}) p.source(name);
  lose_two_workers(p);
  const auto worker = p.worker("w");
  const auto started = p.take("a");
  REQUIRE(p.tracker.start(started.id, started.worker));
  p.die(worker);
  CHECK(p.counters("a").failed == 1);
  CHECK(p.counters("a").killed_workers == 1);
  CHECK(p.tracker.delayed() == 1);
  p.worker("w");
  CHECK(p.at_work("a") == Texts{"m2", "m3"});
  p.advance(std::chrono::seconds(1));
  CHECK(p.at_work("a") == Texts{"m2", "m3", "m1"});
  CHECK(p.given_to(0).back().attempt == 2);
}

TEST_CASE("a suspect that its worker never started keeps its attempts, however many die") {
  Pipeline p("a");
  p.source("m");
  for (int i = 0; i < 20; ++i) {
    const auto worker = p.worker("w");
    REQUIRE(p.at_work("a") == Texts{"m"});
    p.die(worker);
  }
  CHECK(p.counters("a").failed == 0);
  p.worker("w");
  p.done("a");
  CHECK(p.acked() == Texts{"m"});
}

TEST_CASE("what is said to have started after its time is over counts for nothing") {
  FailureRules rules = rules_of(FailurePolicy::none);
  rules.max_age = std::chrono::seconds(1);
  Pipeline p("a", rules);
  const auto worker = p.worker("w");
  p.source("late");
  const auto late = p.take("a");
  p.advance(std::chrono::seconds(1));
  CHECK(p.failed() == Texts{"late"});
  CHECK_FALSE(p.tracker.start(late.id, late.worker));
  CHECK(p.scheduler.in_flight_at(worker) == 1);
  p.die(worker);
  CHECK(p.is_empty());
}

TEST_CASE("what started is forgotten when it goes out again") {
  Pipeline p("a");
  const auto first = p.worker("w");
  p.source("m");
  const auto started = p.take("a");
  REQUIRE(p.tracker.start(started.id, started.worker));
  REQUIRE(p.give_back(started));
  CHECK(p.at_work("a") == Texts{"m"});
  p.die(first);
  CHECK(p.counters("a").failed == 0);
}

TEST_CASE("of one tree, what did not start is let go when what started was its last attempt") {
  FailureRules rules = rules_of(FailurePolicy::retry);
  rules.max_attempts = 1;
  Pipeline p("a, b", rules);
  const auto worker = p.worker("w");
  p.source("m");
  const auto started = p.take("a");
  REQUIRE(p.at_work("b") == Texts{"m"});
  REQUIRE(p.tracker.start(started.id, started.worker));
  p.die(worker);
  CHECK(p.failed() == Texts{"m"});
  CHECK(p.is_empty());
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

TEST_CASE(
    "a key's messages keep their order when their worker gives back some and is lost with others") {
  Pipeline p("a(key)");
  p.directory({"w"}, 1);
  p.scheduler.set_settled(1);
  const auto first = p.worker("w");
  for (const char* name : {"m1", "m2", "m3", "m4"}) p.source(name, "k");
  REQUIRE(p.at_work("a") == Texts{"m1", "m2", "m3", "m4"});
  const auto given = p.given_to(first);
  // It runs the first, gives the next back, and dies with the rest.
  REQUIRE(p.give_back(given[1]));
  p.die(first);
  p.worker("w");
  CHECK(p.at_work("a") == Texts{"m1", "m2", "m3", "m4"});
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

}  // namespace tempest::tracking
