// Messages that operators trace, as their source sees them.

#include <catch2/catch.hpp>

#include "source_harness.hpp"

using namespace tempest;
using namespace tempest::source_node;
using namespace std::chrono_literals;
using Kind = wire::Sighting::Kind;
using Next = wire::Sighting::Next;
using wire::FailureKind;

namespace {

wire::Watch trace_of(std::uint32_t id) {
  wire::Watch watch;
  watch.id = id;
  watch.per_second = 1000;
  watch.max_bytes = 4;
  return watch;
}

Plan retrying() {
  Plan plan = SourceHarness::default_plan();
  plan.failure.policy = FailurePolicy::retry;
  plan.failure.max_attempts = 2;
  plan.failure.backoff = {10ms, 2.0, 1s, 0.0};
  plan.failure.dead_letter = Endpoint{"fake", {}};
  return plan;
}

struct TracingHarness : SourceHarness {
  explicit TracingHarness(Plan plan = retrying()) : SourceHarness(std::move(plan)) {
    coordinator = &add_coordinator("a");
    run();
  }

  void watch(std::vector<wire::Watch> wanted) {
    watches = std::move(wanted);
    publish_directory();
    run();
    pass(1s);
  }
  /// Everything said since.
  std::vector<wire::Sighting> seen() {
    std::vector<wire::Sighting> all;
    for (wire::Sightings& frame : std::exchange(sightings, {})) {
      all.insert(all.end(), frame.sightings.begin(), frame.sightings.end());
    }
    return all;
  }
  std::vector<Kind> kinds() {
    std::vector<Kind> kinds;
    for (const wire::Sighting& sighting : seen()) kinds.push_back(sighting.kind);
    return kinds;
  }

  FakeCoordinator* coordinator = nullptr;
};

}  // namespace

TEST_CASE("a traced message is followed from its read to its ack") {
  TracingHarness harness;
  harness.watch({trace_of(7)});
  harness.fill(1, 10);
  harness.pass(1s);
  REQUIRE(harness.coordinator->received.size() == 1);
  const std::uint64_t number = harness.coordinator->received[0].trace;
  CHECK(number >> 32 == 7);
  harness.now += 5ms;
  harness.coordinator->ack_all(harness.now);
  harness.run();
  const auto seen = harness.seen();
  REQUIRE(seen.size() == 3);
  CHECK(seen[0].kind == Kind::read);
  CHECK(seen[0].message == number);
  CHECK(seen[0].text == "no. 0");
  CHECK(seen[0].payload == "0...");
  CHECK(seen[0].payload_bytes == 10);
  CHECK(seen[1].kind == Kind::sent);
  CHECK(seen[1].peer == "a");
  CHECK(seen[2].kind == Kind::acked);
  CHECK(seen[2].at_us >= 5'000);
}

TEST_CASE("while nobody traces nothing is marked, and nothing is said") {
  TracingHarness harness;
  harness.fill(10);
  harness.pass(1s);
  harness.coordinator->ack_all(harness.now);
  harness.run();
  CHECK(harness.sightings.empty());
  CHECK(harness.numbers().acked == 10);
}

TEST_CASE("a trace by name or by text follows only what fits") {
  TracingHarness harness;
  wire::Watch watch = trace_of(7);
  const bool by_name = GENERATE(true, false);
  (by_name ? watch.message : watch.text) = by_name ? "no. 42" : "42";
  harness.watch({watch});
  harness.fill(100);
  harness.pass(1s);
  std::vector<std::string> traced;
  for (const auto& message : harness.coordinator->received) {
    if (message.trace != 0) traced.push_back(message.payload);
  }
  CHECK(traced == std::vector<std::string>{"42"});
}

TEST_CASE("two operators have messages of their own, and with one gone the other goes on") {
  TracingHarness harness;
  wire::Watch one = trace_of(1);
  one.text = "7";
  wire::Watch other = trace_of(2);
  // Whoever is choosier comes first.
  harness.watch({other, one});
  harness.fill(10);
  harness.pass(1s);
  for (const auto& message : harness.coordinator->received) {
    CHECK(message.trace >> 32 == (message.payload == "7" ? 1 : 2));
  }
  harness.coordinator->ack_all(harness.now);
  harness.watch({other});
  harness.fill(1);
  harness.pass(1s);
  REQUIRE(harness.coordinator->received.size() == 1);
  CHECK(harness.coordinator->received[0].trace >> 32 == 2);
}

TEST_CASE("a traced message that times out twice says so each time, and becomes a dead letter") {
  TracingHarness harness;
  harness.watch({trace_of(7)});
  harness.fill(1);
  harness.pass(1s);
  const std::uint64_t number = harness.coordinator->received[0].trace;
  harness.coordinator->fail(harness.coordinator->received[0].id, FailureKind::timeout, harness.now);
  harness.pass(50ms);
  REQUIRE(harness.coordinator->received.size() == 2);
  CHECK(harness.coordinator->received[1].trace == number);
  harness.coordinator->fail(harness.coordinator->received[1].id, FailureKind::timeout, harness.now);
  harness.pass(50ms);
  const auto seen = harness.seen();
  REQUIRE(seen.size() == 7);
  CHECK(seen[2].kind == Kind::failed);
  CHECK(seen[2].failure == FailureKind::timeout);
  CHECK(seen[2].next == Next::again);
  CHECK(seen[2].again_us == 10'000);
  CHECK(seen[3].kind == Kind::sent);
  CHECK(seen[4].kind == Kind::failed);
  CHECK(seen[4].next == Next::dead_letter);
  CHECK(seen[5].kind == Kind::dead_letter);
  CHECK(seen[6].kind == Kind::acked);
}

TEST_CASE("what becomes of a traced message that is given up follows the policy") {
  Plan plan = retrying();
  const auto policy = GENERATE(FailurePolicy::none, FailurePolicy::best_effort);
  plan.failure.policy = policy;
  TracingHarness harness(std::move(plan));
  harness.watch({trace_of(7)});
  harness.fill(1);
  harness.pass(1s);
  harness.coordinator->fail(harness.coordinator->received[0].id, FailureKind::error, harness.now);
  harness.run();
  const auto seen = harness.seen();
  REQUIRE(seen.size() == 4);
  CHECK(seen[2].kind == Kind::failed);
  CHECK(seen[2].next == (policy == FailurePolicy::none ? Next::leave : Next::ack));
  CHECK(seen[3].kind == (policy == FailurePolicy::none ? Kind::left : Kind::acked));
}

TEST_CASE("a traced message whose coordinator is lost is taken back, and sent again as the same") {
  TracingHarness harness;
  harness.watch({trace_of(7)});
  harness.fill(1);
  harness.pass(1s);
  const std::uint64_t number = harness.coordinator->received[0].trace;
  harness.coordinator->restart();
  harness.publish_directory();
  harness.coordinator->received.clear();
  harness.pass(5s);
  REQUIRE(harness.coordinator->received.size() == 1);
  CHECK(harness.coordinator->received[0].trace == number);
  CHECK(harness.kinds() == std::vector<Kind>{Kind::read, Kind::sent, Kind::taken_back, Kind::sent});
}

TEST_CASE("how many messages a trace has chosen from is said though none of them fits") {
  TracingHarness harness;
  wire::Watch watch = trace_of(7);
  watch.text = "nowhere";
  harness.watch({watch});
  harness.fill(500);
  harness.pass(1500ms);
  REQUIRE_FALSE(harness.sightings.empty());
  CHECK(harness.sightings.back().sightings.empty());
  CHECK(harness.sightings.back().seen == 500);
}
