// Deliveries that come back with a part of their subtree done.

#include "tracking_fixture.hpp"

namespace tempest::tracking {

using Texts = Pipeline::Texts;
using std::chrono::milliseconds;
using std::chrono::seconds;

TEST_CASE("a subtree that was fused to its end is done with its one delivery") {
  ServedPipeline p("a -> b, b -> c");
  p.source("m1");
  REQUIRE(p.done_fused(p.take("a"), {}));
  CHECK(p.acked() == Texts{"m1"});
  CHECK(p.is_empty());
}

TEST_CASE("what a fused subtree has left goes on from where it came to") {
  ServedPipeline p("a -> b, b -> c, b -> d");
  p.source("m1");
  p.done_fused(p.take("a"), {{"b", "d", "x", {}}, {"a", "b", "y", {}}});
  CHECK(p.at_work("c").empty());
  CHECK(p.at_work("d") == Texts{"x"});
  CHECK(p.at_work("b") == Texts{"y"});
  p.done("d");
  CHECK(p.acked().empty());
  p.done("b", {{"z"}});
  p.done("c");
  p.done("d");
  CHECK(p.acked() == Texts{"m1"});
  CHECK(p.is_empty());
}

TEST_CASE("a fused task that failed has used up its first attempt, and only it is tried again") {
  ServedPipeline p("a -> b", rules_of(FailurePolicy::retry));
  p.source("m1");
  p.done_fused(p.take("a"), {{"a", "b", "x", Tracker::Failure{false, "broken", {}}}});
  CHECK(p.counters("b").failed == 1);
  CHECK(p.at_work("a").empty());
  p.advance(seconds(60));
  const auto again = p.take("b");
  CHECK(again.attempt == 2);
  CHECK(again.parts == Texts{"x"});
  CHECK(p.acked().empty());
  p.done(again);
  CHECK(p.acked() == Texts{"m1"});
  CHECK(p.is_empty());
}

TEST_CASE("a fused task that asks for a pause uses up no attempt") {
  ServedPipeline p("a -> b", rules_of(FailurePolicy::retry));
  p.source("m1");
  p.done_fused(p.take("a"), {{"a", "b", "x", Tracker::Failure{false, "wait", milliseconds(50)}}});
  p.advance(milliseconds(49));
  CHECK(p.at_work("b").empty());
  p.advance(milliseconds(1));
  CHECK(p.take("b").attempt == 1);
}

TEST_CASE("a fused task that failed for good is the end of its tree, whatever else is left of it") {
  ServedPipeline p("a -> b, a -> c");
  p.source("m1");
  p.done_fused(p.take("a"), {{"a", "b", "x", Tracker::Failure{true, "no good", {}}},
                             {"a", "c", "y", {}},
                             {"a", "b", "z", Tracker::Failure{true, "no better", {}}}});
  CHECK(p.failed() == Texts{"m1"});
  CHECK(p.last_failure().reason == "no good");
  CHECK(p.last_failure().task == p.task("b"));
  CHECK(p.last_failure().attempts == 1);
  CHECK(p.last_failure().payload.bytes() == "x");
  CHECK(p.acked().empty());
  CHECK(p.is_empty());
}

TEST_CASE("by best effort the rest of a fused subtree goes on") {
  ServedPipeline p("a -> b, a -> c", rules_of(FailurePolicy::best_effort));
  p.source("m1");
  p.done_fused(p.take("a"),
               {{"a", "b", "x", Tracker::Failure{false, "broken", {}}}, {"a", "c", "y", {}}});
  CHECK(p.failed().empty());
  p.done("c");
  CHECK(p.failed() == Texts{"m1"});
  CHECK(p.last_failure().reason == "broken");
  CHECK(p.is_empty());
}

TEST_CASE("what gathers waits for a fused subtree as for any other") {
  ServedPipeline p("a -> b, b -> c(each)");
  p.source("m1");
  p.source("m2");
  const auto first = p.take("a");
  p.done_fused(first, {{"b", "c", "x", {}}, {"a", "b", "y", {}}});
  CHECK(p.at_work("c").empty());
  p.done("b", {{"z"}});
  CHECK(p.at_work("c").size() == 2);
}

TEST_CASE("a fused result that comes too late changes nothing") {
  ServedPipeline p("a -> b");
  p.source("m1");
  const auto given = p.take("a");
  p.fail(given);
  CHECK_FALSE(p.done_fused(given, {{"a", "b", "x", Tracker::Failure{true, "no good", {}}}}));
  CHECK(p.failed().empty());
  CHECK(p.counters("b").failed == 0);
}

}  // namespace tempest::tracking
