// What an earlier system of this design got wrong, each as it went wrong there.

#include "tracking_fixture.hpp"

namespace tempest::tracking {

using Texts = Pipeline::Texts;

TEST_CASE("forerunner 1: a diamond with a dead end on one side was acked before its tail ran") {
  for (const bool dead_end_first : {true, false}) {
    ServedPipeline p("t1 -> t2, t1 -> t3, t2 -> t4, t3 -> t4, t4 -> t5");
    p.source("m1");
    p.done("t1", {"x"});
    if (dead_end_first) p.done("t3");
    p.done("t2", {"y"});
    if (!dead_end_first) p.done("t3");
    CHECK(p.acked().empty());
    p.done("t4", {"z"});
    CHECK(p.acked().empty());
    p.done("t5");
    CHECK(p.acked() == Texts{"m1"});
    CHECK(p.is_empty());
  }
}

TEST_CASE("forerunner 2: messages filtered before the last task left their state behind") {
  ServedPipeline p("a -> b, b -> c, c -> sum(all)");
  p.source("m");
  p.done("a");
  const std::size_t memory_bytes = p.tracker.memory_bytes();
  for (int i = 0; i < 1000; ++i) {
    p.source("m");
    p.done("a", {"x", "y"});
    p.done("b");
    p.done("b", {"z"});
    p.done("c");
    REQUIRE(p.is_empty());
  }
  CHECK(p.acked().size() == 1001);
  CHECK(p.tracker.memory_bytes() <= memory_bytes * 8);
}

TEST_CASE("forerunner 3: a task that returned an empty list hung its message for ever") {
  ServedPipeline p("a -> b");
  p.source("m1");
  const auto given = p.take("a");
  const std::vector<Tracker::Output> empty_list;
  p.tracker.acknowledge(given.id, given.worker, empty_list, p.now);
  CHECK(p.tracker.acked().size() == 1);
}

TEST_CASE("forerunner 4: held outputs were keyed by task, so that siblings' were mixed") {
  ServedPipeline p("a -> b, a -> c, b -> sum(all), c -> sum, b -> other(all)");
  p.source("m1");
  p.source("m2");
  p.done("a", {"x"});
  p.done("a", {"y"});
  p.done("b", {"b of m1"});
  p.done("b", {"b of m2"});
  p.done("c", {"c of m1"});
  p.done("c", {"c of m2"});
  CHECK(p.at_work("sum") == Texts{"b of m1+c of m1", "b of m2+c of m2"});
  CHECK(p.at_work("other") == Texts{"b of m1", "b of m2"});
  for (const char* task : {"sum", "sum", "other", "other"}) p.done(task);
  CHECK(p.acked() == Texts{"m1", "m2"});
  CHECK(p.is_empty());
}

TEST_CASE("forerunner 5: a dead worker's messages stayed in flight for ever") {
  Pipeline p("a");
  const auto dead = p.worker("w1");
  p.source("m1");
  p.source("m2");
  p.dispatch();
  p.lose(dead);
  CHECK(p.scheduler.in_flight(p.task("a")) == 0);
  p.worker("w2");
  p.done("a");
  p.done("a");
  CHECK(p.acked() == Texts{"m1", "m2"});
  CHECK(p.is_empty());
}

TEST_CASE("forerunner 5: a reply for a source that had vanished was lost with its credit") {
  Pipeline p("a");
  p.worker("w1", {}, {1, 100});
  p.source("m1", {}, PeerId{1, 1});
  const auto given = p.take("a");
  p.forget_source(PeerId{1, 1});
  p.source("m1 again", {}, PeerId{1, 2});
  CHECK_FALSE(p.done(given));
  p.done("a");
  CHECK(p.acked() == Texts{"m1 again"});
  CHECK(p.is_empty());
}

TEST_CASE("forerunner 6: the same error twice was tried again twice") {
  ServedPipeline p("a");
  p.source("m1");
  const auto given = p.take("a");
  CHECK(p.fail(given));
  CHECK_FALSE(p.fail(given));
  CHECK(p.tracker.delayed() == 1);
  p.advance(std::chrono::seconds(1));
  CHECK(p.at_work("a") == Texts{"m1"});
  p.done("a");
  CHECK(p.acked() == Texts{"m1"});
  CHECK(p.is_empty());
}

TEST_CASE("forerunner 6: the same last error twice failed a message twice") {
  ServedPipeline p("a");
  p.source("m1");
  const auto given = p.take("a");
  CHECK(p.fail(given, {true, "no", {}}));
  CHECK_FALSE(p.fail(given, {true, "no", {}}));
  CHECK(p.failed() == Texts{"m1"});
  CHECK(p.is_empty());
}

TEST_CASE("forerunner 6: a stale ack completed the attempt after it") {
  ServedPipeline p("a");
  p.source("m1");
  const auto first = p.take("a");
  p.fail(first);
  p.advance(std::chrono::milliseconds(100));
  const auto second = p.take("a");
  CHECK_FALSE(p.done(first));
  CHECK(p.acked().empty());
  p.fail(second);
  p.advance(std::chrono::milliseconds(200));
  CHECK_FALSE(p.done(second));
  p.done("a");
  CHECK(p.acked() == Texts{"m1"});
  CHECK(p.is_empty());
}

TEST_CASE("forerunner 6: siblings of a failed message that still waited were run all the same") {
  Pipeline p("a -> b, a -> c");
  p.worker("w1", {}, {1, 1000});
  p.source("m1");
  p.done("a", {"x", "y"});
  p.fail("c", {true, "no", {}});
  CHECK(p.failed() == Texts{"m1"});
  CHECK(p.at_work("b").empty());
  CHECK(p.at_work("c").empty());
  CHECK(p.is_empty());
}

TEST_CASE("forerunner 8: the longest backoff was no bound") {
  Random random(1);
  const Backoff backoff{std::chrono::seconds(1), 2.0, std::chrono::seconds(5), 0.2};
  for (std::uint32_t attempt = 2; attempt < 100; ++attempt) {
    CHECK(backoff_wait(backoff, attempt, random) <= std::chrono::seconds(5));
  }
}

}  // namespace tempest::tracking
