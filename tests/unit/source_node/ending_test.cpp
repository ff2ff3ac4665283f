#include <catch2/catch.hpp>

#include "source_harness.hpp"

using namespace tempest;
using namespace tempest::source_node;
using namespace std::chrono_literals;

TEST_CASE("a finite source is drained once everything is acked") {
  SourceHarness harness(SourceHarness::default_plan(), true);
  FakeCoordinator& coordinator = harness.add_coordinator("a");
  harness.source.finite = true;
  harness.fill(3);
  harness.pass(1s, 10ms);
  CHECK_FALSE(harness.finished);
  coordinator.ack_all(harness.now);
  harness.step();
  CHECK_FALSE(harness.finished);
  harness.run();
  CHECK(harness.finished);
  CHECK_FALSE(harness.machine.failure());
  CHECK(harness.source.acked.size() == 3);
}

TEST_CASE("a finite source that was not asked to end stays, drained") {
  SourceHarness harness;
  FakeCoordinator& coordinator = harness.add_coordinator("a");
  harness.source.finite = true;
  harness.fill(3);
  harness.run();
  coordinator.ack_all(harness.now);
  harness.run();
  const std::size_t polls = harness.source.polls.size();
  harness.pass(2s, 10ms);
  CHECK_FALSE(harness.finished);
  CHECK(harness.machine.state() == "drained");
  CHECK(harness.source.polls.size() == polls);
}

TEST_CASE("messages left unacked do not keep a drained node from ending") {
  Plan plan = SourceHarness::default_plan();
  plan.failure.policy = FailurePolicy::none;
  SourceHarness harness(plan, true);
  FakeCoordinator& coordinator = harness.add_coordinator("a");
  harness.source.finite = true;
  harness.fill(1);
  harness.run();
  coordinator.fail(coordinator.received[0].id, wire::FailureKind::error, harness.now);
  harness.run();
  CHECK(harness.finished);
  CHECK(harness.numbers().failed == 1);
}

TEST_CASE("an endless source is drained when it says so, however many polls find nothing") {
  SourceHarness harness(SourceHarness::default_plan(), true);
  FakeCoordinator& coordinator = harness.add_coordinator("a");
  harness.source.drained = false;
  harness.fill(3);
  harness.run();
  coordinator.ack_all(harness.now);
  harness.pass(60s, 100ms);
  CHECK_FALSE(harness.finished);
  CHECK(harness.source.drained_asked >= 10);
  harness.source.drained = true;
  harness.pass(5s, 100ms);
  CHECK(harness.finished);
}

TEST_CASE("acks that wait for others go at once when nothing else is left to be done") {
  Plan plan = SourceHarness::default_plan();
  plan.source.ack_interval = 1h;
  SourceHarness harness(plan, true);
  FakeCoordinator& coordinator = harness.add_coordinator("a");
  harness.fill(3);
  harness.run();
  coordinator.ack_all(harness.now);
  harness.pass(5s, 100ms);
  CHECK(harness.source.acked.size() == 3);
  CHECK(harness.finished);
}

TEST_CASE("what was not begun when the end came is given back") {
  SourceHarness harness;
  FakeCoordinator& coordinator = harness.add_coordinator("a", 5);
  harness.fill(10);
  harness.run();
  harness.stop();
  harness.run();
  CHECK(harness.source.given_back.size() == 5);
  CHECK(harness.source.left.empty());
  coordinator.ack_all(harness.now);
  harness.pass(1s, 10ms);
  CHECK(harness.finished);
  CHECK(harness.source.acked.size() == 5);
}

TEST_CASE("an endless source is drained when a poll finds nothing with nothing pending") {
  SourceHarness harness(SourceHarness::default_plan(), true);
  FakeCoordinator& coordinator = harness.add_coordinator("a");
  harness.fill(3);
  harness.pass(3s, 10ms);
  CHECK_FALSE(harness.finished);
  const std::size_t polls = harness.source.polls.size();
  coordinator.ack_all(harness.now);
  harness.pass(3s, 10ms);
  CHECK(harness.finished);
  CHECK(harness.source.polls.size() >= polls + 1);
  CHECK(harness.source.drained_asked == 1);
}

TEST_CASE("a finite source that is only slow is not taken for drained") {
  SourceHarness harness(SourceHarness::default_plan(), true);
  FakeCoordinator& coordinator = harness.add_coordinator("a");
  harness.source.finite = true;
  harness.source.more_to_come = true;
  harness.fill(1);
  harness.run();
  coordinator.ack_all(harness.now);
  harness.pass(60s, 100ms);
  CHECK_FALSE(harness.finished);
  harness.source.more_to_come = false;
  harness.pass(5s, 100ms);
  CHECK(harness.finished);
}

TEST_CASE("a source found drained is not polled again, so that the end need not wait for a poll") {
  SourceHarness harness(SourceHarness::default_plan(), true);
  FakeCoordinator& coordinator = harness.add_coordinator("a");
  harness.fill(1);
  harness.run();
  coordinator.ack_all(harness.now);
  harness.run();
  const std::size_t polls = harness.source.polls.size();
  harness.pass(10s, 10ms);
  CHECK(harness.finished);
  CHECK(harness.source.polls.size() <= polls + 2);
  CHECK(harness.requests.empty());
}

TEST_CASE("an endless source whose polls block is drained all the same") {
  SourceHarness harness(SourceHarness::default_plan(), true);
  harness.add_coordinator("a");
  harness.source.blocks = true;
  for (int i = 0; i < 20; ++i) {
    harness.step();
    harness.serve_one();
  }
  CHECK(harness.finished);
  CHECK(harness.source.polls.size() <= 3);
}

TEST_CASE("stop reads no more, and lets what is out there finish and be acked") {
  SourceHarness harness;
  FakeCoordinator& coordinator = harness.add_coordinator("a", 5);
  harness.fill(10);
  harness.run();
  harness.stop();
  harness.pass(1s, 10ms);
  CHECK_FALSE(harness.finished);
  CHECK(harness.numbers().pending == 5);
  coordinator.ack_all(harness.now);
  harness.run();
  CHECK(coordinator.received.empty());
  CHECK(harness.finished);
  CHECK(harness.source.acked.size() == 5);
}

TEST_CASE("stop waits for an ack that failed, and for a dead letter") {
  Plan plan = SourceHarness::default_plan();
  plan.failure.dead_letter = Endpoint{"fake", {}};
  SourceHarness harness(plan);
  FakeCoordinator& coordinator = harness.add_coordinator("a");
  harness.fill(2);
  harness.run();
  harness.source.acks_fail = true;
  harness.source.sink_away = true;
  harness.stop();
  coordinator.ack({coordinator.received[0].id}, harness.now);
  coordinator.fail(coordinator.received[1].id, wire::FailureKind::error, harness.now);
  harness.pass(1s, 10ms);
  CHECK_FALSE(harness.finished);
  harness.source.acks_fail = false;
  harness.source.sink_away = false;
  harness.pass(3s, 10ms);
  CHECK(harness.finished);
  CHECK(harness.source.acked.size() == 2);
  CHECK(harness.source.dead_letters.size() == 1);
}

TEST_CASE("stop ends when its time is up, with the rest left unacked") {
  SourceHarness harness;
  harness.add_coordinator("a");
  harness.fill(2);
  harness.run();
  harness.stop();
  harness.pass(4900ms, 10ms);
  CHECK_FALSE(harness.finished);
  harness.pass(200ms, 10ms);
  CHECK(harness.finished);
  CHECK(harness.source.acked.empty());
  CHECK(harness.notified("left unacked"));
}

TEST_CASE("a second stop ends at once") {
  SourceHarness harness;
  harness.add_coordinator("a");
  harness.fill(2);
  harness.run();
  harness.stop();
  harness.stop(true);
  harness.step();
  CHECK(harness.finished);
}

TEST_CASE("messages of a coordinator lost while stopping are left to the source") {
  SourceHarness harness;
  FakeCoordinator& coordinator = harness.add_coordinator("a");
  harness.fill(2);
  harness.run();
  harness.stop();
  coordinator.restart();
  harness.pass(4s, 10ms);
  CHECK(harness.finished);
  CHECK(harness.source.acked.empty());
}

TEST_CASE("what a poll brings after the stop is given back to the source") {
  SourceHarness harness;
  harness.add_coordinator("a");
  harness.run();
  harness.pass(100ms);
  harness.fill(1);
  harness.now += 2s;
  harness.step();
  REQUIRE(harness.waiting<PollRequest>() != nullptr);
  harness.stop();
  harness.run();
  CHECK(harness.finished);
  CHECK(harness.numbers().read == 0);
  CHECK(harness.source.given_back.size() == 1);
}

TEST_CASE("what a source cannot give again is counted as lost at an end that leaves it") {
  SourceHarness harness;
  harness.source.gives_again = false;
  FakeCoordinator& coordinator = harness.add_coordinator("a", 2);
  harness.fill(5);
  harness.run();
  CHECK(harness.notified("cannot give again"));
  coordinator.ack({coordinator.received[0].id}, harness.now);
  harness.run();
  // One of the two that are out comes back; the others were never begun.
  harness.stop();
  harness.run();
  coordinator.ack({coordinator.received[0].id}, harness.now);
  harness.run();
  harness.pass(10s, 50ms);
  REQUIRE(harness.finished);
  CHECK(harness.numbers().read == harness.numbers().acked + harness.numbers().lost_at_source);
  CHECK(harness.numbers().lost_at_source > 0);
  CHECK(harness.notified("are lost"));
}
