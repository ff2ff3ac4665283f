// What a gathering task holds, and when it is let go.

#include "tracking_fixture.hpp"

namespace tempest::tracking {

using Texts = Pipeline::Texts;

TEST_CASE("gather each holds what comes until all before it are done, then lets go one by one") {
  ServedPipeline p("a -> b, b -> sum(each)");
  p.source("m1");
  p.done("a", {"x", "y"});
  p.done("b", {"x1", "x2"});
  CHECK(p.at_work("sum").empty());
  CHECK(p.waiting("sum") == 0);
  p.done("b", {"y1"});
  CHECK(p.at_work("sum") == Texts{"x1", "x2", "y1"});
  p.done("sum");
  p.done("sum");
  CHECK(p.acked().empty());
  p.done("sum");
  CHECK(p.acked() == Texts{"m1"});
  CHECK(p.is_empty());
}

TEST_CASE("gather all lets go in one call, which is one delivery") {
  ServedPipeline p("a -> b, b -> sum(all), sum -> out");
  p.source("m1");
  p.done("a", {"x", "y"});
  p.done("b", {"x1", "x2"});
  p.done("b", {"y1"});
  CHECK(p.at_work("sum") == Texts{"x1+x2+y1"});
  CHECK(p.scheduler.in_flight_at(0) == 1);
  p.done("sum", {"total"});
  CHECK(p.at_work("out") == Texts{"total"});
  p.done("out");
  CHECK(p.acked() == Texts{"m1"});
  CHECK(p.is_empty());
}

TEST_CASE("gather all with one message held is a call of one") {
  ServedPipeline p("a -> sum(all)");
  p.source("m1");
  p.done("a", {"x"});
  CHECK(p.at_work("sum") == Texts{"x"});
  p.done("sum");
  CHECK(p.acked() == Texts{"m1"});
  CHECK(p.is_empty());
}

TEST_CASE("gathering tasks hold each source message's share by itself") {
  ServedPipeline p("a -> sum(all)");
  p.source("m1");
  p.source("m2");
  p.done("a", {"x1", "x2"});
  p.done("a", {"y1", "y2"});
  CHECK(p.at_work("sum") == Texts{"x1+x2", "y1+y2"});
  p.done("sum");
  CHECK(p.acked() == Texts{"m1"});
  p.done("sum");
  CHECK(p.acked() == Texts{"m1", "m2"});
  CHECK(p.is_empty());
}

TEST_CASE("what two tasks send to a gathering one is let go edge by edge, whenever it came") {
  ServedPipeline p("a -> b, a -> c, b -> sum(all), c -> sum");
  p.source("m1");
  p.done("a", {"x", "y"});
  p.done("b", {"b1"});
  p.done("c", {"c1"});
  p.done("b", {"b2"});
  p.done("c", {"c2"});
  const auto given = p.take("sum");
  CHECK(given.parts == Texts{"b1", "b2", "c1", "c2"});
  std::vector<TaskId> senders;
  for (std::uint32_t slot = given.id.slot; slot != kNowhere; slot = p.table.at(slot).members) {
    senders.push_back(p.graph.edge(p.table.at(slot).edge).from);
  }
  CHECK(senders == std::vector{p.task("b"), p.task("b"), p.task("c"), p.task("c")});
}

TEST_CASE("one sender's outputs to two gathering tasks are held and let go apart") {
  ServedPipeline p("a -> b, a:left -> l(all), b:right -> r(all)");
  p.source("m1");
  p.done("a", {"left:1", "left:2", "x"});
  CHECK(p.at_work("l") == Texts{"1+2"});
  p.done("b", {"right:3", "right:4"});
  CHECK(p.at_work("r") == Texts{"3+4"});
  p.done("l");
  CHECK(p.acked().empty());
  p.done("r");
  CHECK(p.acked() == Texts{"m1"});
  CHECK(p.is_empty());
}

TEST_CASE("gathering siblings wait for their own ancestors only") {
  ServedPipeline p("a -> b, a -> slow, b -> sum(all), slow -> other(all)");
  p.source("m1");
  p.done("a", {"x"});
  p.done("b", {"y"});
  CHECK(p.at_work("sum") == Texts{"y"});
  CHECK(p.at_work("other").empty());
  p.done("slow", {"z"});
  CHECK(p.at_work("other") == Texts{"z"});
}

TEST_CASE("a gathering task waits for an ancestor far above, though its neighbour is done") {
  ServedPipeline p("a -> b, b -> c, a -> sum(all), c -> sum");
  p.source("m1");
  p.done("a", {"x"});
  CHECK(p.at_work("sum").empty());
  p.done("b", {"y"});
  CHECK(p.at_work("sum").empty());
  p.done("c", {"z"});
  CHECK(p.at_work("sum") == Texts{"x+z"});
}

TEST_CASE("a gathering task waits for another one above it, and for what that makes") {
  ServedPipeline p("a -> b, b -> first(each), first -> second(all), second -> out");
  p.source("m1");
  p.done("a", {"x", "y"});
  p.done("b", {"x1"});
  p.done("b", {"y1"});
  CHECK(p.at_work("first") == Texts{"x1", "y1"});
  p.done("first", {"x2"});
  CHECK(p.at_work("second").empty());
  p.done("first", {"y2", "y3"});
  CHECK(p.at_work("second") == Texts{"x2+y2+y3"});
  p.done("second", {"all"});
  p.done("out");
  CHECK(p.acked() == Texts{"m1"});
  CHECK(p.is_empty());
}

TEST_CASE("a gather all after a gather all gets one call of one") {
  ServedPipeline p("a -> first(all), first -> second(all)");
  p.source("m1");
  p.done("a", {"x", "y", "z"});
  CHECK(p.at_work("first") == Texts{"x+y+z"});
  p.done("first", {"1", "2"});
  CHECK(p.at_work("second") == Texts{"1+2"});
  p.done("second");
  CHECK(p.acked() == Texts{"m1"});
  CHECK(p.is_empty());
}

TEST_CASE("a gathering task below one that holds nothing is not held up by it") {
  ServedPipeline p("a:rare -> first(all), first -> second(all), a -> second");
  p.source("m1");
  p.done("a", {"x"});
  CHECK(p.at_work("second") == Texts{"x"});
  p.done("second");
  CHECK(p.acked() == Texts{"m1"});
  CHECK(p.is_empty());
}

TEST_CASE("a gathering task to which nothing came is not called") {
  ServedPipeline p("a -> b, b -> sum(all)");
  p.source("m1");
  p.done("a", {"x", "y"});
  p.done("b");
  CHECK(p.acked().empty());
  p.done("b");
  CHECK(p.acked() == Texts{"m1"});
  CHECK(p.at_work("sum").empty());
  CHECK(p.is_empty());
}

TEST_CASE("a gathering root takes the source's message at once") {
  for (const char* shape : {"sum(each) -> out", "sum(all) -> out"}) {
    ServedPipeline p(shape);
    p.source("m1");
    CHECK(p.at_work("sum") == Texts{"m1"});
    p.done("sum", {"x"});
    p.done("out");
    CHECK(p.acked() == Texts{"m1"});
    CHECK(p.is_empty());
  }
}

TEST_CASE("ancestors that filter some of their input still let the rest go") {
  ServedPipeline p("a -> b, a -> c, b -> sum(all), c -> sum");
  p.source("m1");
  p.done("a", {"x", "y"});
  p.done("b");
  p.done("b", {"kept"});
  p.done("c");
  CHECK(p.at_work("sum").empty());
  p.done("c");
  CHECK(p.at_work("sum") == Texts{"kept"});
}

TEST_CASE("an ancestor that is tried again holds up the gathering, and its success ends that") {
  ServedPipeline p("a -> b, b -> sum(all)");
  p.source("m1");
  p.done("a", {"x", "y"});
  p.done("b", {"x1"});
  p.fail("b");
  CHECK(p.at_work("sum").empty());
  p.advance(std::chrono::milliseconds(100));
  CHECK(p.at_work("sum").empty());
  p.done("b", {"y1"});
  CHECK(p.at_work("sum") == Texts{"x1+y1"});
  p.done("sum");
  CHECK(p.acked() == Texts{"m1"});
  CHECK(p.is_empty());
}

TEST_CASE("an ancestor that fails for good ends the message with all that is held") {
  ServedPipeline p("a -> b, b -> sum(all)");
  p.source("m1");
  p.source("m2");
  p.done("a", {"x", "y"});
  p.done("b", {"x1"});
  p.fail("b", {true, "broken", {}});
  CHECK(p.failed() == Texts{"m1"});
  CHECK(p.at_work("sum").empty());
  p.done("a", {"z"});
  p.done("b", {"z1"});
  CHECK(p.at_work("sum") == Texts{"z1"});
  p.done("sum");
  CHECK(p.acked() == Texts{"m2"});
  CHECK(p.is_empty());
}

TEST_CASE("with best effort an ancestor that fails lets go of what the others made") {
  ServedPipeline p("a -> b, b -> sum(all)", rules_of(FailurePolicy::best_effort));
  p.source("m1");
  p.done("a", {"x", "y"});
  p.done("b", {"x1"});
  p.fail("b");
  CHECK(p.at_work("sum") == Texts{"x1"});
  p.done("sum");
  CHECK(p.failed() == Texts{"m1"});
  CHECK(p.last_failure().task == p.task("b"));
  CHECK(p.is_empty());
}

TEST_CASE("with best effort a message whose every ancestor failed ends without the gathering") {
  ServedPipeline p("a -> b, b -> sum(all)", rules_of(FailurePolicy::best_effort));
  p.source("m1");
  p.done("a", {"x", "y"});
  p.fail("b", {false, "first", {}});
  CHECK(p.failed().empty());
  p.fail("b", {false, "second", {}});
  CHECK(p.failed() == Texts{"m1"});
  CHECK(p.last_failure().reason == "first");
  CHECK(p.is_empty());
}

TEST_CASE("an ancestor at a worker that is lost holds up the gathering until done elsewhere") {
  Pipeline p("a -> b, b -> sum(all)");
  const auto first = p.worker("w1");
  p.source("m1");
  p.done("a", {"x", "y"});
  p.done("b", {"x1"});
  p.dispatch();
  p.lose(first);
  p.worker("w2");
  CHECK(p.at_work("sum").empty());
  p.done("b", {"y1"});
  CHECK(p.at_work("sum") == Texts{"x1+y1"});
}

TEST_CASE("a batch is tried again whole") {
  ServedPipeline p("a -> sum(all)");
  p.source("m1");
  p.done("a", {"x", "y", "z"});
  p.fail("sum");
  p.advance(std::chrono::milliseconds(100));
  const auto again = p.take("sum");
  CHECK(again.parts == Texts{"x", "y", "z"});
  CHECK(again.attempt == 2);
  CHECK(p.give_back(again));
  CHECK(p.at_work("sum") == Texts{"x+y+z"});
  p.done("sum");
  CHECK(p.acked() == Texts{"m1"});
  CHECK(p.is_empty());
}

TEST_CASE("a batch that times out at its worker is tried again whole, and leaves nothing") {
  ServedPipeline p("a -> sum(all)");
  p.source("m1");
  p.done("a", {"x", "y", "z"});
  const auto hung = p.take("sum");
  CHECK(p.time_out(hung));
  p.advance(std::chrono::milliseconds(100));
  CHECK(p.at_work("sum") == Texts{"x+y+z"});
  p.done("sum");
  CHECK(p.acked() == Texts{"m1"});
  CHECK_FALSE(p.done(hung));
  CHECK(p.is_empty());
}

TEST_CASE("a batch at a worker that is lost goes to another whole") {
  Pipeline p("a -> sum(all)");
  const auto first = p.worker("w1");
  p.source("m1");
  p.done("a", {"x", "y"});
  p.dispatch();
  p.lose(first);
  p.worker("w2");
  CHECK(p.at_work("sum") == Texts{"x+y"});
  p.done("sum");
  CHECK(p.acked() == Texts{"m1"});
  CHECK(p.is_empty());
}

TEST_CASE("no part of a batch can be answered by itself") {
  ServedPipeline p("a -> sum(all)");
  p.source("m1");
  p.done("a", {"x", "y"});
  const auto given = p.take("sum");
  auto part = given;
  part.id = p.table.id_of(p.table.at(given.id.slot).members);
  CHECK_FALSE(p.done(part));
  CHECK(p.acked().empty());
  CHECK(p.done(given));
  CHECK(p.acked() == Texts{"m1"});
}

TEST_CASE("a batch counts as one message and with all its bytes against a worker's window") {
  Pipeline p("a -> sum(all)");
  p.worker("w1", {"a"});
  p.worker("w2", {"sum"}, {10, 6});
  p.source("m1");
  p.source("m2");
  p.done("a", {"xxx", "yyy"});
  p.done("a", {"zzz", "www"});
  CHECK(p.at_work("sum") == Texts{"xxx+yyy"});
  CHECK(p.scheduler.queued_bytes() == 6);
  p.done("sum");
  CHECK(p.scheduler.queued_bytes() == 6);
  CHECK(p.at_work("sum") == Texts{"zzz+www"});
  CHECK(p.scheduler.queued_bytes() == 0);
}

TEST_CASE("what is held is given up when its source is lost") {
  ServedPipeline p("a -> b, b -> sum(all), b -> each(each)");
  p.source("m1");
  p.done("a", {"x", "y"});
  p.done("b", {"x1", "x2"});
  p.forget_source();
  CHECK(p.table.size() == 1);
  p.lose(0);
  CHECK(p.is_empty());
}

TEST_CASE("a tree whose place was used before begins with nothing held and nothing unfinished") {
  ServedPipeline p("a -> b, b -> sum(all)");
  p.source("m1");
  p.done("a", {"x", "y"});
  p.done("b", {"x1"});
  p.forget_source();
  p.source("m2");
  p.done("a", {"z"});
  CHECK(p.take("b").parts == Texts{"y"});
  CHECK(p.at_work("b") == Texts{"z"});
  p.done("b", {"z1"});
  CHECK(p.at_work("sum") == Texts{"z1"});
}

namespace {

/// Four of them are more than a join may hold, three are not.
std::vector<Out> large_outputs(std::size_t count) {
  return std::vector<Out>(count, Out("", std::string(15ULL << 20, 'x'), ""));
}

}  // namespace

TEST_CASE("a join that no frame holds fails for good, by itself and with its reason") {
  ServedPipeline p("a -> sum(all), sum -> out");
  p.source("m1");
  p.source("m2");
  p.done("a", large_outputs(4));
  CHECK(p.at_work("sum").empty());
  CHECK(p.failed() == Texts{"m1"});
  CHECK(p.last_failure().kind == wire::FailureKind::too_large);
  CHECK(p.last_failure().task == p.task("sum"));
  CHECK(
      p.last_failure().reason ==
      "a join of 4 messages, 60 MiB together, and one call can be given 983040 of 56 MiB at most");
  CHECK(p.scheduler.queued_bytes() == 0);
  p.done("a", large_outputs(3));
  p.done("sum");
  CHECK(p.acked() == Texts{"m2"});
  CHECK(p.is_empty());
}

TEST_CASE("a join of more messages than a frame has room for fails likewise") {
  ServedPipeline p("a -> sum(all)");
  p.source("m1");
  p.done("a", std::vector<Out>(kMaxJoinParts + 1, Out("", "x", "")));
  CHECK(p.failed() == Texts{"m1"});
  CHECK(p.last_failure().kind == wire::FailureKind::too_large);
  CHECK(p.is_empty());
}

TEST_CASE("with best effort the rest of the tree goes on behind a join that is too large") {
  ServedPipeline p("a -> b, b -> sum(all), sum -> all(all), a -> all",
                   rules_of(FailurePolicy::best_effort));
  p.source("m1");
  p.done("a", {"x"});
  p.done("b", large_outputs(4));
  CHECK(p.at_work("all") == Texts{"x"});
  p.done("all");
  CHECK(p.failed() == Texts{"m1"});
  CHECK(p.last_failure().kind == wire::FailureKind::too_large);
  CHECK(p.is_empty());
}

TEST_CASE("a join that is too large may be the last of its tree") {
  const auto policy =
      GENERATE(FailurePolicy::best_effort, FailurePolicy::retry, FailurePolicy::none);
  ServedPipeline p("a -> sum(all)", rules_of(policy));
  p.source("m1");
  p.done("a", large_outputs(4));
  CHECK(p.failed() == Texts{"m1"});
  CHECK(p.is_empty());
}

}  // namespace tempest::tracking
