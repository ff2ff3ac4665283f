#include <catch2/catch.hpp>

#include "source_harness.hpp"

using namespace tempest;
using namespace tempest::source_node;
using namespace std::chrono_literals;
using wire::FailureKind;

namespace {

constexpr std::uint64_t kMessageBytes = 8ULL << 20;

Plan small_plan() {
  Plan plan = SourceHarness::default_plan();
  plan.source.max_pending_bytes = kMessageBytes;
  plan.failure.dead_letter = Endpoint{"fake", {}};
  return plan;
}

/// Fails what it has with payloads of this size, as far as it may.
void fail_all(SourceHarness& harness, FakeCoordinator& coordinator, std::size_t payload_bytes) {
  const std::string payload(payload_bytes, 'x');
  auto received = std::exchange(coordinator.received, {});
  for (const auto& message : received) {
    if (coordinator.failures_told >= coordinator.failures_granted) {
      coordinator.received.push_back(message);
      continue;
    }
    coordinator.fail(message.id, FailureKind::error, harness.now, payload);
    harness.run();
  }
}

}  // namespace

TEST_CASE("dead letters whose sink is away take up their share, and no more is taken or read") {
  SourceHarness harness(small_plan());
  FakeCoordinator& one = harness.add_coordinator("a");
  FakeCoordinator& other = harness.add_coordinator("b");
  harness.source.sink_away = true;
  harness.fill(400);
  harness.run();
  REQUIRE(one.received.size() + other.received.size() == 400);
  for (int round = 0; round < 20; ++round) {
    fail_all(harness, one, 256 << 10);
    fail_all(harness, other, 256 << 10);
    harness.pass(10ms);
  }
  // A quarter (and half as much again, since the first came before the second) and one message of
  // each coordinator.
  CHECK(harness.numbers().failure_bytes > kMessageBytes / 4 - (512 << 10));
  CHECK(harness.numbers().failure_bytes < kMessageBytes * 3 / 8 + 2 * (300 << 10));
  CHECK(harness.notified("nothing more is read until dead letters can be written"));
  CHECK(std::count_if(harness.notices.begin(), harness.notices.end(), [](const auto& notice) {
          return notice.find("nothing more is read") != std::string::npos;
        }) == 1);

  SECTION("until the sink is back: then all become dead letters, and are acked") {
    harness.source.sink_away = false;
    for (int round = 0; round < 200; ++round) {
      harness.pass(100ms, 20ms);
      fail_all(harness, one, 256 << 10);
      fail_all(harness, other, 256 << 10);
    }
    harness.pass(1s, 20ms);
    CHECK(harness.source.dead_letters.size() == 400);
    CHECK(harness.numbers().acked == 400);
    CHECK(harness.numbers().failure_bytes == 0);
    CHECK(harness.numbers().pending_bytes == 0);
  }
}

TEST_CASE("letters of messages that are large themselves stop reads as messages do") {
  SourceHarness harness(small_plan());
  FakeCoordinator& coordinator = harness.add_coordinator("a");
  harness.source.sink_away = true;
  for (int round = 0; round < 100; ++round) {
    harness.fill(1, 1 << 20);
    harness.pass(10ms);
    fail_all(harness, coordinator, 10);
  }
  const SourceNumbers numbers = harness.numbers();
  CHECK(numbers.pending_bytes + numbers.failure_bytes <= kMessageBytes + (2 << 20));
  CHECK(numbers.read < 15);
}

TEST_CASE("letters are written in batches of bounded size") {
  SourceHarness harness(small_plan());
  FakeCoordinator& coordinator = harness.add_coordinator("a");
  harness.source.sink_away = true;
  harness.fill(20'000);
  harness.run();
  for (const auto& message : std::exchange(coordinator.received, {})) {
    coordinator.fail(message.id, FailureKind::error, harness.now, "x");
  }
  harness.step();
  std::size_t largest = 0;
  harness.source.sink_away = false;
  for (int round = 0; round < 5'000 && harness.source.dead_letters.size() < 20'000; ++round) {
    harness.step();
    if (const auto* request = harness.waiting<DeadLetterRequest>()) {
      largest = std::max(largest, request->letters->size());
    }
    if (!harness.serve_one()) harness.pass(100ms, 50ms);
  }
  CHECK(harness.source.dead_letters.size() == 20'000);
  CHECK(largest <= DeadLetterBox::kBatchLetters);
}

TEST_CASE("reasons of many failed attempts are kept short once they add up") {
  AttemptLedger ledger;
  const std::string reason(4'096, 'r');
  for (std::uint32_t slot = 0; slot < 5'000; ++slot) {
    for (int attempt = 0; attempt < 16; ++attempt) {
      ledger.add(slot, {FailureKind::error, "task", "worker", reason, 1, {}});
    }
  }
  CHECK(ledger.bytes() < 5'000 * 16 * 400 + AttemptLedger::kWholeReasonBytes);
  CHECK(ledger.take(0).front().reason == reason);
  CHECK(ledger.take(4'999).front().reason.size() == AttemptLedger::kShortReasonBytes + 3);
  for (std::uint32_t slot = 1; slot < 4'999; ++slot) ledger.take(slot);
  CHECK(ledger.bytes() == 0);
  CHECK(ledger.empty());
}
