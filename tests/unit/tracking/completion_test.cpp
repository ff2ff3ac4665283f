// When a message is done: graphs of every shape, and where their ways may end.

#include "tracking_fixture.hpp"

namespace tempest::tracking {

using Texts = Pipeline::Texts;

TEST_CASE("a message of a single task is done with that task") {
  ServedPipeline p("a");
  p.source("m1");
  CHECK(p.acked().empty());
  p.done("a");
  CHECK(p.acked() == Texts{"m1"});
  CHECK(p.is_empty());
}

TEST_CASE("a chain is done with its last task") {
  ServedPipeline p("a -> b, b -> c");
  p.source("m1");
  p.done("a", {"x"});
  p.done("b", {"y"});
  CHECK(p.acked().empty());
  p.done("c");
  CHECK(p.acked() == Texts{"m1"});
  CHECK(p.is_empty());
}

TEST_CASE("a chain may end at every place on the way") {
  for (int last = 0; last < 4; ++last) {
    ServedPipeline p("a -> b, b -> c, c -> d");
    p.source("m1");
    const std::vector<std::string> tasks{"a", "b", "c", "d"};
    for (int i = 0; i < last; ++i) p.done(tasks[static_cast<std::size_t>(i)], {"x"});
    CHECK(p.acked().empty());
    p.done(tasks[static_cast<std::size_t>(last)]);
    CHECK(p.acked() == Texts{"m1"});
    CHECK(p.is_empty());
  }
}

TEST_CASE("a diamond is done with the last delivery of both its sides") {
  ServedPipeline p("a -> b, a -> c, b -> d, c -> d, d -> e");
  p.source("m1");
  p.done("a", {"x"});
  p.done("c", {"from c"});
  p.done("d", {"first"});
  p.done("e");
  CHECK(p.acked().empty());
  p.done("b", {"from b"});
  p.done("d", {"second"});
  CHECK(p.acked().empty());
  p.done("e");
  CHECK(p.acked() == Texts{"m1"});
  CHECK(p.is_empty());
}

TEST_CASE("a diamond may end on either side, on both, and in the middle, in either order") {
  for (const bool left_emits : {false, true}) {
    for (const bool right_emits : {false, true}) {
      for (const bool left_first : {false, true}) {
        for (const bool middle_emits : {false, true}) {
          ServedPipeline p("a -> b, a -> c, b -> d, c -> d, d -> e");
          p.source("m1");
          p.done("a", {"x"});
          const std::vector<Out> none;
          const std::vector<Out> some{"y"};
          if (left_first) p.done("b", left_emits ? some : none);
          p.done("c", right_emits ? some : none);
          if (!left_first) p.done("b", left_emits ? some : none);
          const int arrived = left_emits + right_emits;
          for (int i = 0; i < arrived; ++i) {
            CHECK(p.acked().empty());
            p.done("d", middle_emits ? some : none);
          }
          for (int i = 0; i < (middle_emits ? arrived : 0); ++i) {
            CHECK(p.acked().empty());
            p.done("e");
          }
          CHECK(p.acked() == Texts{"m1"});
          CHECK(p.is_empty());
        }
      }
    }
  }
}

TEST_CASE("a root that filters everything ends the message, whatever comes after it") {
  ServedPipeline p("a -> b, a -> c, b -> d(all), c -> d");
  p.source("m1");
  p.done("a");
  CHECK(p.acked() == Texts{"m1"});
  CHECK(p.is_empty());
}

TEST_CASE("with several roots each takes the message, and all must be done") {
  ServedPipeline p("a -> c, b -> c, d");
  p.source("m1");
  CHECK(p.at_work("a") == Texts{"m1"});
  CHECK(p.at_work("b") == Texts{"m1"});
  CHECK(p.at_work("d") == Texts{"m1"});
  p.done("d");
  p.done("a");
  CHECK(p.acked().empty());
  p.done("b", {"x"});
  CHECK(p.acked().empty());
  p.done("c");
  CHECK(p.acked() == Texts{"m1"});
  CHECK(p.is_empty());
}

TEST_CASE("messages are done in the order in which they end, not in which they came") {
  ServedPipeline p("a -> b");
  p.source("m1");
  p.source("m2");
  p.source("m3");
  const auto first = p.take("a");
  const auto second = p.take("a");
  const auto third = p.take("a");
  p.done(third);
  p.done(first, {"x"});
  p.done(second);
  p.done("b");
  CHECK(p.acked() == Texts{"m3", "m2", "m1"});
  CHECK(p.is_empty());
}

TEST_CASE("an output by name takes only the edges of that name") {
  ServedPipeline p("a:late -> b, a:early -> c, a -> d");
  p.source("m1");
  p.done("a", {"late:x", "early:y", "z"});
  CHECK(p.at_work("b") == Texts{"x"});
  CHECK(p.at_work("c") == Texts{"y"});
  CHECK(p.at_work("d") == Texts{"z"});
  p.done("b");
  p.done("c");
  CHECK(p.acked().empty());
  p.done("d");
  CHECK(p.acked() == Texts{"m1"});
  CHECK(p.is_empty());
}

TEST_CASE("an output by name may take several edges at once") {
  ServedPipeline p("a:late -> b, a:late -> c");
  p.source("m1");
  p.done("a", {"late:x"});
  CHECK(p.at_work("b") == Texts{"x"});
  CHECK(p.at_work("c") == Texts{"x"});
}

TEST_CASE("a plain edge also takes outputs that name the task it leads to, and only those") {
  ServedPipeline p("a -> b, a -> c");
  p.source("m1");
  p.done("a", {"c:x"});
  CHECK(p.at_work("b").empty());
  CHECK(p.at_work("c") == Texts{"x"});
  p.done("c");
  CHECK(p.acked() == Texts{"m1"});
}

TEST_CASE("an output by a name that no edge has is dropped and counted") {
  ServedPipeline p("a:late -> b, a -> c");
  p.source("m1");
  p.done("a", {"lost:x", "lost:y"});
  CHECK(p.acked() == Texts{"m1"});
  CHECK(p.counters("a").outputs == 2);
  CHECK(p.counters("a").outputs_dropped == 2);
  CHECK(p.is_empty());
}

TEST_CASE("an output without a name of a task with only named edges is dropped and counted") {
  ServedPipeline p("a:late -> b");
  p.source("m1");
  p.done("a", {"x"});
  CHECK(p.acked() == Texts{"m1"});
  CHECK(p.counters("a").outputs_dropped == 1);
}

TEST_CASE("a terminal task's outputs are dropped and counted") {
  ServedPipeline p("a -> b");
  p.source("m1");
  p.done("a", {"x"});
  p.done("b", {"y", "z", "late:w"});
  CHECK(p.acked() == Texts{"m1"});
  CHECK(p.counters("b").outputs == 3);
  CHECK(p.counters("b").outputs_dropped == 3);
  CHECK(p.counters("a").outputs_dropped == 0);
  CHECK(p.is_empty());
}

TEST_CASE("a wide fan-out is done with its last delivery") {
  ServedPipeline p("a -> b");
  p.source("m1");
  p.done("a", std::vector<Out>(1000, Out("x")));
  for (int i = 0; i < 999; ++i) p.done("b");
  CHECK(p.acked().empty());
  p.done("b");
  CHECK(p.acked() == Texts{"m1"});
  CHECK(p.is_empty());
}

TEST_CASE("a message's time is measured from its coming to its end") {
  ServedPipeline p("a");
  p.source("m1");
  p.advance(std::chrono::milliseconds(5));
  p.done("a");
  CHECK(p.tracker.tree_durations().count() == 1);
  CHECK(p.tracker.tree_durations().sum_ns() == 5'000'000);
}

TEST_CASE("messages started are those completed, failed and forgotten") {
  ServedPipeline p("a");
  p.source("m1");
  p.source("m2");
  p.source("m3", {}, PeerId{2, 1});
  p.done("a");
  p.fail("a", {true, "no", {}});
  p.forget_source(PeerId{2, 1});
  CHECK(p.tracker.trees_started() == 3);
  CHECK(p.tracker.trees_completed() == 1);
  CHECK(p.tracker.trees_failed() == 1);
  CHECK(p.tracker.trees_forgotten() == 1);
  CHECK(p.tracker.trees_in_flight() == 0);
}

TEST_CASE("a message of which very much waits fails for that neither in some runs nor in others") {
  Pipeline p("a -> b, b -> c");
  p.worker("w1", {"a", "b"});
  p.source("m1");
  const std::vector<Tracker::Output> many(1001, Tracker::Output{{}, payload_of("x")});
  const auto answer = [&](const Pipeline::Given& given) {
    p.tracker.acknowledge(given.id, given.worker, many, p.now);
  };
  answer(p.take("a"));
  for (int i = 0; i < 1001; ++i) answer(p.take("b"));
  CHECK(p.tracker.failed().empty());
  CHECK(p.scheduler.queued(p.task("c")) == 1001U * 1001U);
}

TEST_CASE("a message of which one call makes too much fails, and nothing of it stays") {
  std::string edges = "a -> c0";
  for (int i = 1; i < 20; ++i) edges += ", a -> c" + std::to_string(i);
  Pipeline p(edges);
  p.worker("w1", {"a"});
  p.source("m1");
  p.source("m2");
  const std::vector<Tracker::Output> many(50'001, Tracker::Output{{}, payload_of("x")});
  const auto given = p.take("a");
  p.tracker.acknowledge(given.id, given.worker, many, p.now);
  REQUIRE(p.tracker.failed().size() == 1);
  CHECK(p.tracker.failed()[0].kind == wire::FailureKind::too_many);
  CHECK(p.tracker.failed()[0].reason == "one call made more than 1000000 deliveries");
  CHECK(p.tracker.failed()[0].task == p.task("a"));
  CHECK(p.tracker.failed()[0].worker == "w1");
  p.tracker.failed().clear();
  CHECK(p.scheduler.queued() == 0);
  p.done("a");
  CHECK(p.acked() == Texts{"m2"});
  CHECK(p.is_empty());
}

TEST_CASE("a message of which a gathering task would hold too much fails") {
  Pipeline p("a -> b, b -> c (each)");
  p.worker("w1", {"a", "b"});
  p.source("m1");
  const std::vector<Tracker::Output> many(1001, Tracker::Output{{}, payload_of("x")});
  const auto answer = [&](const Pipeline::Given& given) {
    p.tracker.acknowledge(given.id, given.worker, many, p.now);
  };
  answer(p.take("a"));
  for (int i = 0; i < 1001 && p.tracker.failed().empty(); ++i) answer(p.take("b"));
  REQUIRE(p.tracker.failed().size() == 1);
  CHECK(p.tracker.failed()[0].reason ==
        "more than 1000000 deliveries of one message are held for a task that gathers");
  CHECK(p.scheduler.set_aside().held == 0);
}

TEST_CASE("a hundred thousand messages in a row leave no record and take no growing memory") {
  ServedPipeline p("a");
  std::vector<Scheduler::Assignment> assignments;
  const Payload payload = payload_of("x");
  std::size_t memory_bytes = 0;
  for (std::uint32_t round = 0; round < 1000; ++round) {
    for (std::uint32_t i = 0; i < 100; ++i) p.tracker.begin({1, 1}, {i, round}, payload, p.now);
    assignments.clear();
    p.scheduler.dispatch(p.now, {}, assignments);
    for (const auto& [worker, delivery] : assignments) {
      p.tracker.acknowledge(p.table.id_of(delivery), worker, {}, p.now);
    }
    REQUIRE(p.tracker.acked().size() == 100);
    p.tracker.acked().clear();
    REQUIRE(p.is_empty());
    if (round == 0) memory_bytes = p.tracker.memory_bytes();
  }
  CHECK(p.tracker.memory_bytes() == memory_bytes);
  CHECK(p.scheduler.in_flight_at(0) == 0);
  CHECK(p.tracker.trees_completed() == 100'000);
}

}  // namespace tempest::tracking
