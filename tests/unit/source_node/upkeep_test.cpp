#include <catch2/catch.hpp>

#include "source_harness.hpp"

using namespace tempest;
using namespace tempest::source_node;
using namespace std::chrono_literals;

TEST_CASE("a source that wants to be tended is, at its interval, with room to read or without") {
  Plan plan = SourceHarness::default_plan();
  plan.source.max_pending = 5;
  SourceHarness harness(plan);
  harness.source.tend_interval = 100ms;
  harness.add_coordinator("a");
  harness.fill(20);
  harness.run();
  harness.pass(1s, 1ms);
  CHECK(harness.numbers().pending == 5);
  CHECK(harness.source.tend_times.size() >= 10);
  CHECK(harness.source.tend_times.size() <= 12);
}

TEST_CASE("a source is tended until the end, since others may take what looks abandoned") {
  SourceHarness harness;
  harness.source.tend_interval = 100ms;
  harness.add_coordinator("a");
  harness.fill(1);
  harness.run();
  harness.stop();
  const std::size_t before = harness.source.tend_times.size();
  harness.pass(1s, 10ms);
  CHECK_FALSE(harness.finished);
  CHECK(harness.source.tend_times.size() >= before + 8);
}

TEST_CASE("a source that wants no tending gets none") {
  SourceHarness harness;
  harness.add_coordinator("a");
  harness.fill(1);
  harness.pass(10s, 100ms);
  CHECK(harness.source.tend_times.empty());
}

TEST_CASE("what tending did is counted, and told") {
  SourceHarness harness;
  harness.source.tend_interval = 100ms;
  harness.add_coordinator("a");
  harness.run();
  TendDone done;
  done.tended = {.discarded = 2, .moved = 3, .lost = 4, .readers_removed = 1};
  link::Effects effects;
  harness.machine.take(std::move(done), harness.now, effects);
  CHECK(harness.numbers().discarded == 2);
  CHECK(harness.numbers().moved == 3);
  CHECK(harness.numbers().lost_at_source == 4);
  REQUIRE(effects.notices.size() == 2);
}

TEST_CASE("acks wait for others for ack_interval at the most, and not at all at the end") {
  Plan plan = SourceHarness::default_plan();
  plan.source.ack_interval = 200ms;
  SourceHarness harness(plan);
  FakeCoordinator& coordinator = harness.add_coordinator("a");
  harness.fill(10);
  harness.run();
  coordinator.ack({coordinator.received[0].id}, harness.now);
  harness.pass(150ms);
  CHECK(harness.source.acked.empty());
  coordinator.ack({coordinator.received[1].id}, harness.now);
  harness.pass(60ms);
  CHECK(harness.source.ack_batches == std::vector<std::size_t>{2});
  coordinator.ack({coordinator.received[2].id}, harness.now);
  harness.run();
  CHECK(harness.source.acked.size() == 2);
  harness.stop();
  harness.run();
  CHECK(harness.source.acked.size() == 3);
}

TEST_CASE("a poll waits no longer at the source than block says") {
  Plan plan = SourceHarness::default_plan();
  const auto block = GENERATE(Duration(0ms), Duration(40ms));
  plan.source.block = block;
  SourceHarness harness(plan);
  harness.add_coordinator("a");
  harness.pass(5s, 10ms);
  REQUIRE(harness.source.polls.size() > 3);
  for (const PollRequest& poll : harness.source.polls) CHECK(poll.wait <= block);
}
