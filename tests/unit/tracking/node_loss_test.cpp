// Sources and workers that are lost, or that give back what they have not begun.

#include <algorithm>

#include "tracking_fixture.hpp"

namespace tempest::tracking {

using Texts = Pipeline::Texts;
using std::chrono::milliseconds;

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
      Texts order = p.at_work("a");
      // Without a key it is enough that they come before what has never been out.
      if (shape == std::string("a")) std::sort(order.begin(), order.end() - 1);
      CHECK(order == Texts{"m1", "m2", "m3", "m4", "m5"});
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
