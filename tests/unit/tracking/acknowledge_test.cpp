// What becomes of a delivery when its worker answers, or somebody else does.

#include "tracking_fixture.hpp"

namespace tempest::tracking {

using Texts = Pipeline::Texts;

TEST_CASE("a delivery done without outputs ends its message") {
  ServedPipeline p("a -> b");
  p.source("m1");
  p.done("a");
  CHECK(p.acked() == Texts{"m1"});
  CHECK(p.at_work("b").empty());
  CHECK(p.counters("a").acknowledged == 1);
  CHECK(p.counters("a").outputs == 0);
  CHECK(p.is_empty());
}

TEST_CASE("a delivery done with an empty list of outputs ends its message") {
  ServedPipeline p("a -> b");
  p.source("m1");
  const auto given = p.take("a");
  const std::vector<Tracker::Output> empty;
  CHECK(p.tracker.acknowledge(given.id, given.worker, empty, p.now));
  REQUIRE(p.tracker.acked().size() == 1);
  CHECK(p.tracker.acked()[0].owner == PeerId{1, 1});
  p.tracker.acked().clear();
  CHECK(p.is_empty());
}

TEST_CASE("a delivery done with outputs hands them to every task after it, and its message waits") {
  ServedPipeline p("a -> b, a -> c");
  p.source("m1");
  p.done("a", {"x", "y"});
  CHECK(p.acked().empty());
  CHECK(p.at_work("b") == Texts{"x", "y"});
  CHECK(p.at_work("c") == Texts{"x", "y"});
  p.done("b");
  p.done("c");
  p.done("b");
  CHECK(p.acked().empty());
  p.done("c");
  CHECK(p.acked() == Texts{"m1"});
  CHECK(p.counters("a").outputs == 2);
  CHECK(p.is_empty());
}

TEST_CASE("outputs carry their keys, and a message's key goes to the roots") {
  ServedPipeline p("a -> b");
  p.source("m1", "first key");
  const auto given = p.take("a");
  CHECK(given.key == "first key");
  p.done(given, {Out("", "x", "second key")});
  CHECK(p.take("b").key == "second key");
}

TEST_CASE("a delivery that ends in an error is tried again, and its message waits") {
  ServedPipeline p("a -> b");
  p.source("m1");
  p.fail("a");
  CHECK(p.acked().empty());
  CHECK(p.failed().empty());
  CHECK(p.at_work("a").empty());
  p.advance(std::chrono::milliseconds(100));
  const auto again = p.take("a");
  CHECK(again.attempt == 2);
  CHECK(again.parts == Texts{"m1"});
  CHECK(p.done(again));
  CHECK(p.acked() == Texts{"m1"});
  CHECK(p.counters("a").failed == 1);
  CHECK(p.counters("a").retried == 1);
  CHECK(p.is_empty());
}

TEST_CASE("an answer to an attempt before the present one is stale and changes nothing") {
  ServedPipeline p("a -> b");
  p.source("m1");
  const auto first = p.take("a");
  CHECK(p.fail(first));
  SECTION("while the next attempt is waiting for its time") {
    CHECK_FALSE(p.done(first, {"x"}));
    CHECK_FALSE(p.fail(first));
    CHECK_FALSE(p.give_back(first));
    p.advance(std::chrono::milliseconds(100));
  }
  SECTION("while the next attempt is waiting for a worker") {
    p.advance(std::chrono::milliseconds(100));
    CHECK_FALSE(p.done(first, {"x"}));
    CHECK_FALSE(p.fail(first));
    CHECK_FALSE(p.give_back(first));
  }
  SECTION("while the next attempt is at the same worker") {
    p.advance(std::chrono::milliseconds(100));
    p.dispatch();
    CHECK_FALSE(p.done(first, {"x"}));
    CHECK_FALSE(p.fail(first));
    CHECK_FALSE(p.give_back(first));
  }
  CHECK(p.tracker.stale_results() == 3);
  CHECK(p.acked().empty());
  CHECK(p.at_work("b").empty());
  p.done("a", {"y"});
  CHECK(p.at_work("b") == Texts{"y"});
  p.done("b");
  CHECK(p.acked() == Texts{"m1"});
  CHECK(p.is_empty());
}

TEST_CASE("an answer by an id that never was is stale and changes nothing") {
  ServedPipeline p("a");
  p.source("m1");
  const auto given = p.take("a");
  auto unknown = given;
  unknown.id = DeliveryId{77, 1};
  CHECK_FALSE(p.done(unknown));
  unknown.id = DeliveryId{};
  CHECK_FALSE(p.fail(unknown));
  unknown.id = DeliveryId{given.id.slot, given.id.generation + 1};
  CHECK_FALSE(p.give_back(unknown));
  unknown.id = DeliveryId{given.id.slot, 0};
  CHECK_FALSE(p.done(unknown));
  CHECK(p.tracker.stale_results() == 4);
  CHECK(p.scheduler.in_flight_at(0) == 1);
  CHECK(p.done(given));
  CHECK(p.acked() == Texts{"m1"});
  CHECK(p.is_empty());
}

TEST_CASE("an answer from a worker to which the delivery was not sent is stale") {
  ServedPipeline p("a");
  const auto other = p.worker("w2", {"a"}, {0, 0});
  p.source("m1");
  auto given = p.take("a");
  REQUIRE(given.worker == 0);
  given.worker = other;
  CHECK_FALSE(p.done(given));
  CHECK_FALSE(p.fail(given));
  CHECK_FALSE(p.give_back(given));
  CHECK(p.scheduler.in_flight_at(0) == 1);
  given.worker = 0;
  CHECK(p.done(given));
  CHECK(p.acked() == Texts{"m1"});
  CHECK(p.is_empty());
}

TEST_CASE("a delivery that waits at the coordinator cannot be answered") {
  Pipeline p("a");
  p.source("m1");
  const DeliveryId waiting{0, 1};
  REQUIRE(p.table.find(waiting) != nullptr);
  CHECK_FALSE(p.tracker.acknowledge(waiting, 0, {}, p.now));
  CHECK_FALSE(p.tracker.acknowledge(waiting, kNowhere, {}, p.now));
  CHECK_FALSE(p.tracker.give_back(waiting, kNowhere));
  CHECK(p.waiting("a") == 1);
}

TEST_CASE("the same answer twice counts once") {
  ServedPipeline p("a -> b");
  p.source("m1");
  const auto given = p.take("a");
  CHECK(p.done(given, {"x"}));
  CHECK_FALSE(p.done(given, {"x"}));
  CHECK(p.at_work("b") == Texts{"x"});
  const auto second = p.take("b");
  CHECK(p.done(second));
  CHECK_FALSE(p.done(second));
  CHECK(p.acked() == Texts{"m1"});
  CHECK(p.tracker.stale_results() == 2);
  CHECK(p.is_empty());
}

TEST_CASE("an id whose place is used again does not answer for the new delivery") {
  ServedPipeline p("a");
  p.source("m1");
  const auto first = p.take("a");
  CHECK(p.done(first));
  p.source("m2");
  const auto second = p.take("a");
  REQUIRE(second.id.slot == first.id.slot);
  CHECK_FALSE(p.done(first));
  CHECK(p.acked() == Texts{"m1"});
  CHECK(p.done(second));
  CHECK(p.acked() == Texts{"m1", "m2"});
}

TEST_CASE("a delivery given back goes first again, as no further attempt and under a new id") {
  ServedPipeline p("a");
  p.source("m1");
  const auto given = p.take("a");
  p.source("m2");
  CHECK(p.give_back(given));
  CHECK(p.waiting("a") == 2);
  CHECK_FALSE(p.done(given));
  const auto again = p.take("a");
  CHECK(again.parts == Texts{"m1"});
  CHECK(again.attempt == 1);
  CHECK(again.id != given.id);
  CHECK(p.counters("a").returned == 1);
  CHECK(p.counters("a").failed == 0);
  CHECK(p.done(again));
  p.done("a");
  CHECK(p.acked() == Texts{"m1", "m2"});
  CHECK(p.is_empty());
}

TEST_CASE("a task with several predecessors gets an output by each edge") {
  ServedPipeline p("a -> b, a -> c, b -> d, c -> d");
  p.source("m1");
  p.done("a", {"x"});
  p.done("b", {"from b"});
  p.done("c", {"from c"});
  const auto first = p.take("d");
  const auto second = p.take("d");
  CHECK(first.parts == Texts{"from b"});
  CHECK(second.parts == Texts{"from c"});
  CHECK(p.graph.edge(p.table.find(first.id)->edge).from == p.task("b"));
  CHECK(p.graph.edge(p.table.find(second.id)->edge).from == p.task("c"));
}

TEST_CASE("a source's message comes to a root by no edge") {
  ServedPipeline p("a -> b");
  p.source("m1");
  CHECK(p.table.find(p.take("a").id)->edge == kNoEdge);
}

TEST_CASE("a large payload shares the frame it came in, and lets go of it with its message") {
  ServedPipeline p("a -> b");
  auto bytes = std::make_shared<const std::string>(64 * 1024, 'x');
  const std::weak_ptr<const std::string> alive = bytes;
  p.tracker.begin({1, 1}, {1, 1}, Payload::take({}, *bytes, SharedBytes(bytes, *bytes)), p.now);
  bytes.reset();
  const auto given = p.take("a");
  CHECK_FALSE(alive.expired());
  CHECK(given.parts[0].size() == 64 * 1024);
  p.tracker.acknowledge(given.id, given.worker, {}, p.now);
  CHECK(alive.expired());
}

TEST_CASE("a payload holds its key and bytes however large, and copies share them") {
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{1000},
                                 std::size_t{16 * 1024}, std::size_t{100'000}}) {
    const std::string key = "key";
    const auto frame = std::make_shared<const std::string>(size, 'p');
    Payload first = Payload::take(key, *frame, SharedBytes(frame, *frame));
    Payload second = first;
    CHECK(second.bytes() == *frame);
    CHECK(second.bytes().data() == first.bytes().data());
    first = Payload();
    CHECK_FALSE(first);
    CHECK(first.size_bytes() == 0);
    CHECK(second.bytes() == *frame);
    CHECK(second.size_bytes() == size + 3);
    if (size < 16 * 1024) CHECK(second.key() == "key");
    Payload& alias = second;
    second = alias;
    CHECK(second.bytes() == *frame);
  }
}

}  // namespace tempest::tracking
