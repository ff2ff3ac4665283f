#include <catch2/catch.hpp>

#include "source_harness.hpp"

using namespace tempest;
using namespace tempest::source_node;
using namespace std::chrono_literals;
using wire::FailureKind;

namespace {

Plan plan_with(FailurePolicy policy, bool dead_letter) {
  Plan plan = SourceHarness::default_plan();
  plan.failure.policy = policy;
  plan.failure.max_attempts = 3;
  if (dead_letter) plan.failure.dead_letter = Endpoint{"fake", {}};
  return plan;
}

}  // namespace

TEST_CASE("policy none leaves a failed message unacked and forgets it") {
  SourceHarness harness(plan_with(FailurePolicy::none, true));
  FakeCoordinator& coordinator = harness.add_coordinator("a");
  harness.fill(1);
  harness.run();
  const auto kind = GENERATE(FailureKind::error, FailureKind::timeout);
  coordinator.fail(coordinator.received[0].id, kind, harness.now);
  harness.run();
  CHECK(harness.source.acked.empty());
  CHECK(harness.source.dead_letters.empty());
  CHECK(harness.numbers().failed == 1);
  CHECK(harness.numbers().left == 1);
  CHECK(harness.numbers().pending == 0);

  SECTION("and takes it anew when the source gives it again") {
    PollDone again;
    again.batch.redelivered = true;
    again.batch.add({.payload = "0"});
    link::Effects effects;
    harness.machine.take(std::move(again), harness.now, effects);
    harness.run();
    CHECK(coordinator.received.size() == 2);
  }
}

TEST_CASE("what the source can make no message of fails for good, by the policy, unseen by tasks") {
  Plan plan = plan_with(FailurePolicy::retry, true);
  const bool asks = GENERATE(false, true);
  if (asks) plan.failure.handler = FailureHandlerDefinition{"fake:Handler", {}};
  SourceHarness harness(plan);
  harness.source.choice = {FailureChoice::Action::retry};
  FakeCoordinator& coordinator = harness.add_coordinator("a");
  harness.run();
  PollDone polled;
  polled.batch.add({.payload = "beginning", .token = {1, 2}, .fault = "too large by far"});
  link::Effects effects;
  harness.machine.take(std::move(polled), harness.now, effects);
  harness.run();
  CHECK(coordinator.received.empty());
  REQUIRE(harness.source.dead_letters.size() == 1);
  const DeadLetter& letter = harness.source.dead_letters[0];
  CHECK(letter.payload == "beginning");
  CHECK(letter.unreadable);
  CHECK(letter.attempts.back().reason == "source: too large by far");
  CHECK(harness.source.acked == std::vector<SourceToken>{{1, 2}});
  CHECK(harness.numbers().failed == 1);
}

TEST_CASE("policy best_effort acks a failed message") {
  SourceHarness harness(plan_with(FailurePolicy::best_effort, false));
  FakeCoordinator& coordinator = harness.add_coordinator("a");
  harness.fill(1);
  harness.run();
  coordinator.fail(coordinator.received[0].id, FailureKind::error, harness.now);
  harness.run();
  CHECK(harness.source.acked.size() == 1);
  CHECK(harness.numbers().failed == 1);
  CHECK(harness.numbers().acked == 1);
  CHECK(harness.numbers().left == 0);
}

TEST_CASE("policy retry dead-letters what the coordinator has given up, then acks it") {
  SourceHarness harness(plan_with(FailurePolicy::retry, true));
  FakeCoordinator& coordinator = harness.add_coordinator("a");
  harness.fill(2);
  harness.run();
  const auto kind =
      GENERATE(FailureKind::error, FailureKind::task_timeout, FailureKind::worker_lost);
  coordinator.fail(coordinator.received[1].id, kind, harness.now);
  harness.step();

  REQUIRE(harness.waiting<DeadLetterRequest>() != nullptr);
  CHECK(harness.waiting<AckRequest>() == nullptr);
  harness.run();
  REQUIRE(harness.source.dead_letters.size() == 1);
  const DeadLetter& letter = harness.source.dead_letters[0];
  CHECK(letter.payload == "1");
  CHECK(letter.topology == "test");
  CHECK(letter.version == "v1");
  CHECK(letter.failing_payload == "the word");
  REQUIRE(letter.attempts.size() == 1);
  CHECK(letter.attempts[0].kind == kind);
  CHECK(letter.attempts[0].task == "count");
  CHECK(letter.attempts[0].worker == "worker-1");
  CHECK(letter.attempts[0].reason == "no such word");
  CHECK(letter.attempts[0].delivery_attempts == 3);
  CHECK(harness.source.acked == std::vector<SourceToken>{{0, 1}});
  CHECK(harness.numbers().dead_lettered == 1);
  CHECK(harness.numbers().failed == 1);
}

TEST_CASE("policy retry sends a timed-out message again with backoff, up to max_attempts") {
  SourceHarness harness(plan_with(FailurePolicy::retry, true));
  FakeCoordinator& coordinator = harness.add_coordinator("a");
  harness.fill(1);
  harness.run();

  coordinator.fail(coordinator.received[0].id, FailureKind::timeout, harness.now);
  harness.pass(95ms);
  CHECK(coordinator.received.size() == 1);
  harness.pass(10ms);
  REQUIRE(coordinator.received.size() == 2);

  coordinator.fail(coordinator.received[1].id, FailureKind::timeout, harness.now);
  harness.pass(195ms);
  CHECK(coordinator.received.size() == 2);
  harness.pass(10ms);
  REQUIRE(coordinator.received.size() == 3);
  CHECK(harness.numbers().resent == 2);
  CHECK(harness.numbers().failed == 0);

  SECTION("the last attempt may succeed") {
    coordinator.ack({coordinator.received[2].id}, harness.now);
    harness.run();
    CHECK(harness.numbers().acked == 1);
    CHECK(harness.source.dead_letters.empty());
  }
  SECTION("or end in the dead letters, with every attempt") {
    coordinator.fail(coordinator.received[2].id, FailureKind::timeout, harness.now);
    harness.run();
    REQUIRE(harness.source.dead_letters.size() == 1);
    CHECK(harness.source.dead_letters[0].attempts.size() == 3);
    CHECK(harness.source.acked.size() == 1);
  }
}

TEST_CASE("attempts are counted up to the most that there may be") {
  Plan plan = plan_with(FailurePolicy::retry, true);
  plan.failure.max_attempts = 70'000;
  plan.failure.backoff = {Duration::zero(), 1.0, Duration::zero(), 0.0};
  SourceHarness harness(std::move(plan));
  FakeCoordinator& coordinator = harness.add_coordinator("a");
  harness.fill(1);
  harness.run();
  for (int attempt = 1; attempt < 70'000; ++attempt) {
    REQUIRE(coordinator.received.size() == 1);
    const MessageId id = coordinator.received[0].id;
    coordinator.received.clear();
    coordinator.fail(id, FailureKind::timeout, harness.now);
    harness.step();
  }
  REQUIRE(harness.source.dead_letters.empty());
  REQUIRE(coordinator.received.size() == 1);
  coordinator.fail(coordinator.received[0].id, FailureKind::timeout, harness.now);
  harness.run();
  CHECK(harness.source.dead_letters.size() == 1);
}

TEST_CASE("the longest backoff of all waits for ever, and not at all the other way round") {
  Plan plan = plan_with(FailurePolicy::retry, true);
  plan.failure.backoff = {Duration::max(), 2.0, Duration::max(), 0.0};
  SourceHarness harness(std::move(plan));
  FakeCoordinator& coordinator = harness.add_coordinator("a");
  harness.fill(1);
  harness.run();
  coordinator.fail(coordinator.received[0].id, FailureKind::timeout, harness.now);
  harness.pass(60s);
  CHECK(coordinator.received.size() == 1);
  CHECK(harness.source.dead_letters.empty());
}

TEST_CASE("without a dead-letter sink an exhausted message is left unacked, and said so") {
  SourceHarness harness(plan_with(FailurePolicy::retry, false));
  FakeCoordinator& coordinator = harness.add_coordinator("a");
  harness.fill(3);
  harness.run();
  for (const auto& received : coordinator.received) {
    coordinator.fail(received.id, FailureKind::error, harness.now);
  }
  harness.run();
  CHECK(harness.source.acked.empty());
  CHECK(harness.numbers().left == 3);
  CHECK(harness.numbers().pending == 0);
  CHECK(harness.notified("no [failure] dead_letter"));
}

TEST_CASE("dead letters that cannot be written wait, and so do their acks") {
  SourceHarness harness(plan_with(FailurePolicy::retry, true));
  FakeCoordinator& coordinator = harness.add_coordinator("a");
  harness.fill(2);
  harness.run();
  harness.source.sink_away = true;
  coordinator.fail(coordinator.received[0].id, FailureKind::error, harness.now);
  harness.run();
  coordinator.fail(coordinator.received[1].id, FailureKind::error, harness.now);
  harness.pass(3s, 10ms);
  CHECK(harness.source.acked.empty());
  CHECK(harness.numbers().pending == 2);
  CHECK(harness.machine.state() == "stalled: dead letters cannot be written");

  harness.source.sink_away = false;
  harness.pass(6s, 10ms);
  CHECK(harness.source.dead_letters.size() == 2);
  CHECK(harness.source.acked.size() == 2);
  CHECK(harness.numbers().pending == 0);
}

TEST_CASE("a message too large for any frame is failed, not sent") {
  SourceHarness harness(plan_with(FailurePolicy::retry, true));
  FakeCoordinator& coordinator = harness.add_coordinator("a");
  harness.fill(1, kMaxPayloadBytes + 1);
  harness.fill(1);
  harness.run();
  CHECK(coordinator.payloads() == std::vector<std::string>{"1"});
  CHECK(harness.source.dead_letters.size() == 1);
  CHECK(harness.source.acked == std::vector<SourceToken>{{0, 0}});
}

TEST_CASE("the source is told which messages were left to it") {
  SourceHarness harness(plan_with(FailurePolicy::none, false));
  FakeCoordinator& coordinator = harness.add_coordinator("a");
  harness.fill(3);
  harness.run();
  coordinator.fail(coordinator.received[1].id, FailureKind::error, harness.now);
  harness.run();
  REQUIRE(harness.source.left.size() == 1);
  CHECK(harness.source.left[0].low == 1);
}

TEST_CASE("errors and timeouts go by their own policies") {
  Plan plan = plan_with(FailurePolicy::retry, true);
  plan.failure.on_error = FailureRule{FailurePolicy::best_effort, 3, {}};
  plan.failure.on_timeout = FailureRule{FailurePolicy::none, 3, {}};
  SourceHarness harness(plan);
  FakeCoordinator& coordinator = harness.add_coordinator("a");
  harness.fill(3);
  harness.run();
  coordinator.fail(coordinator.received[0].id, FailureKind::error, harness.now);
  coordinator.fail(coordinator.received[1].id, FailureKind::timeout, harness.now);
  coordinator.fail(coordinator.received[2].id, FailureKind::task_timeout, harness.now);
  harness.run();
  REQUIRE(harness.source.acked.size() == 1);
  CHECK(harness.source.acked[0].low == 0);
  CHECK(harness.source.left.size() == 2);
  CHECK(harness.source.dead_letters.empty());
}

TEST_CASE("a message that its source has given out too often is given up before it is sent") {
  const auto policy = GENERATE(FailurePolicy::retry, FailurePolicy::none);
  SourceHarness harness(plan_with(policy, true));
  FakeCoordinator& coordinator = harness.add_coordinator("a");
  harness.source.backlog.push_back({"twice", {0, 1}, 2});
  harness.source.backlog.push_back({"worn", {0, 2}, 3});
  harness.run();
  if (policy == FailurePolicy::none) {
    CHECK(coordinator.payloads() == std::vector<std::string>{"twice", "worn"});
    return;
  }
  CHECK(coordinator.payloads() == std::vector<std::string>{"twice"});
  REQUIRE(harness.source.dead_letters.size() == 1);
  CHECK(harness.source.dead_letters[0].payload == "worn");
  CHECK(harness.source.acked.size() == 1);
}
