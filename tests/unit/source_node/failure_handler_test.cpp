#include <catch2/catch.hpp>

#include "source_harness.hpp"
#include "tempest/base/limits.hpp"

using namespace tempest;
using namespace tempest::source_node;
using namespace std::chrono_literals;
using wire::FailureKind;
using Action = FailureChoice::Action;

namespace {

struct Handled {
  explicit Handled(FailurePolicy policy, bool dead_letter = true)
      : harness(plan(policy, dead_letter)) {
    coordinator = &harness.add_coordinator("a");
    harness.fill(1);
    harness.run();
  }

  static Plan plan(FailurePolicy policy, bool dead_letter) {
    Plan plan = SourceHarness::default_plan();
    plan.failure.policy = policy;
    plan.failure.max_attempts = 2;
    plan.failure.backoff = {10ms, 2.0, 1s, 0.0};
    plan.failure.handler = FailureHandlerDefinition{"x:Handler", {}};
    if (dead_letter) plan.failure.dead_letter = Endpoint{"fake", {}};
    return plan;
  }

  /// The message as it was sent last fails.
  void fail(FailureKind kind) {
    coordinator->fail(coordinator->received.back().id, kind, harness.now);
    harness.run();
  }

  SourceHarness harness;
  FakeCoordinator* coordinator;
};

}  // namespace

TEST_CASE("a failure handler sees what has failed, and nothing is done before it has answered") {
  Handled handled(FailurePolicy::retry);
  handled.coordinator->fail(handled.coordinator->received[0].id, FailureKind::error,
                            handled.harness.now);
  handled.harness.step();
  REQUIRE(handled.harness.waiting<ChooseRequest>() != nullptr);
  CHECK(handled.harness.waiting<DeadLetterRequest>() == nullptr);
  CHECK(handled.harness.numbers().failed == 0);
  handled.harness.run();
  REQUIRE(handled.harness.source.asked.size() == 1);
  const DeadLetter& asked = handled.harness.source.asked[0];
  CHECK(asked.payload == "0");
  CHECK(asked.failing_payload == "the word");
  CHECK(asked.attempt == 1);
  REQUIRE(asked.attempts.size() == 1);
  CHECK(asked.attempts[0].kind == FailureKind::error);
  // It had nothing to say against the policy.
  CHECK(handled.harness.source.dead_letters.size() == 1);
  CHECK(handled.harness.source.acked.size() == 1);
  CHECK(handled.harness.numbers().failed == 1);
}

TEST_CASE("a failure handler may choose another end than the policy's") {
  SECTION("acked") {
    Handled handled(FailurePolicy::none);
    handled.harness.source.choice = {Action::ack};
    handled.fail(FailureKind::error);
    CHECK(handled.harness.source.acked.size() == 1);
    CHECK(handled.harness.numbers().left == 0);
  }
  SECTION("left") {
    Handled handled(FailurePolicy::best_effort);
    handled.harness.source.choice = {Action::leave};
    handled.fail(FailureKind::error);
    CHECK(handled.harness.source.acked.empty());
    CHECK(handled.harness.source.left.size() == 1);
    CHECK_FALSE(handled.harness.notified("no [failure] dead_letter"));
  }
  SECTION("dead letter") {
    Handled handled(FailurePolicy::none);
    handled.harness.source.choice = {Action::dead_letter};
    handled.fail(FailureKind::error);
    CHECK(handled.harness.source.dead_letters.size() == 1);
    CHECK(handled.harness.source.acked.size() == 1);
  }
  SECTION("dead letter, where there are none: left, and said so") {
    Handled handled(FailurePolicy::best_effort, false);
    handled.harness.source.choice = {Action::dead_letter};
    handled.fail(FailureKind::error);
    CHECK(handled.harness.source.acked.empty());
    CHECK(handled.harness.source.left.size() == 1);
    CHECK(handled.harness.notified("no [failure] dead_letter"));
  }
}

TEST_CASE("a failure handler's longest wait of all does not overflow") {
  Handled handled(FailurePolicy::none);
  handled.harness.source.choice = {Action::retry, Duration::max()};
  handled.fail(FailureKind::error);
  handled.harness.pass(60s);
  CHECK(handled.coordinator->received.size() == 1);
}

TEST_CASE("a failure handler may have the message tried again, after a time of its own") {
  Handled handled(FailurePolicy::none);
  handled.harness.source.choice = {Action::retry, 5s};
  handled.fail(FailureKind::error);
  handled.harness.pass(4990ms, 10ms);
  CHECK(handled.coordinator->received.size() == 1);
  handled.harness.pass(20ms, 10ms);
  REQUIRE(handled.coordinator->received.size() == 2);
  CHECK(handled.harness.numbers().failed == 0);

  SECTION("and sees it again when it fails again, with all that was before") {
    handled.harness.source.choice = {Action::dead_letter};
    handled.fail(FailureKind::task_timeout);
    REQUIRE(handled.harness.source.asked.size() == 2);
    CHECK(handled.harness.source.asked[1].attempt == 2);
    REQUIRE(handled.harness.source.dead_letters.size() == 1);
    const DeadLetter& letter = handled.harness.source.dead_letters[0];
    REQUIRE(letter.attempts.size() == 2);
    CHECK(letter.attempts[0].kind == FailureKind::error);
    CHECK(letter.attempts[1].kind == FailureKind::task_timeout);
    CHECK(handled.harness.numbers().failed == 1);
  }
  SECTION("and need not see it again") {
    handled.coordinator->ack_all(handled.harness.now);
    handled.harness.run();
    CHECK(handled.harness.numbers().acked == 1);
    CHECK(handled.harness.numbers().pending == 0);
  }
  SECTION("and the node may stop meanwhile") {
    handled.fail(FailureKind::error);
    handled.harness.stop();
    handled.harness.run();
    CHECK(handled.harness.finished);
    CHECK(handled.harness.source.acked.empty());
  }
}

TEST_CASE("without a time of its own the topology's backoff holds") {
  Handled handled(FailurePolicy::retry);
  handled.harness.source.choice = {Action::retry};
  handled.fail(FailureKind::error);
  handled.harness.pass(9ms);
  CHECK(handled.coordinator->received.size() == 1);
  handled.harness.pass(2ms);
  CHECK(handled.coordinator->received.size() == 2);
}

TEST_CASE("the handler is asked only when the policy would do no more") {
  Handled handled(FailurePolicy::retry);
  handled.fail(FailureKind::timeout);
  CHECK(handled.harness.source.asked.empty());
  handled.harness.pass(20ms);
  REQUIRE(handled.coordinator->received.size() == 2);
  handled.fail(FailureKind::timeout);
  REQUIRE(handled.harness.source.asked.size() == 1);
  CHECK(handled.harness.source.asked[0].attempt == 2);
}

TEST_CASE("a handler that stops with its questions open leaves no message in the air") {
  Handled handled(FailurePolicy::none);
  handled.harness.source.choice = {Action::retry, 1h};
  handled.coordinator->fail(handled.coordinator->received[0].id, FailureKind::error,
                            handled.harness.now);
  handled.harness.step();
  handled.harness.stop();
  handled.harness.step();
  CHECK_FALSE(handled.harness.finished);
  handled.harness.run();
  CHECK(handled.harness.finished);
  CHECK(handled.harness.source.acked.empty());
}

TEST_CASE("what a handler throws is reported, and the policy decides") {
  Handled handled(FailurePolicy::best_effort);
  handled.harness.source.handler_fault = "oh no";
  handled.fail(FailureKind::error);
  CHECK(handled.harness.source.acked.size() == 1);
  CHECK(handled.harness.notified("oh no"));
}

TEST_CASE("what no frame can hold is not tried again, whatever the handler says") {
  Handled handled(FailurePolicy::best_effort);
  handled.harness.source.choice = {Action::retry, 1s};
  handled.harness.fill(1, kMaxPayloadBytes + 1);
  handled.harness.pass(20ms);
  CHECK(handled.harness.source.asked.size() == 1);
  CHECK(handled.harness.source.acked.size() == 1);
}
