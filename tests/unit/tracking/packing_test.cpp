// What a message in flight takes up, and the bounds of the numbers that are packed into its
// records.

#include <vector>

#include "tracking_fixture.hpp"

namespace tempest::tracking {

namespace {

FailureRules retried_at_once(std::uint32_t max_attempts) {
  FailureRules rules = rules_of(FailurePolicy::retry);
  rules.max_attempts = max_attempts;
  rules.backoff = {};
  rules.backoff.initial = Duration::zero();
  return rules;
}

}  // namespace

TEST_CASE("a message takes at most 128 bytes beyond its payload, at most 64 while it waits") {
  Pipeline p("a");
  constexpr std::size_t kMessages = 200'000;
  const std::string payload(100, 'x');
  const auto memory_bytes = [&p] { return p.tracker.memory_bytes() + Payload::pool_bytes(); };
  const std::size_t before = memory_bytes();
  for (std::uint32_t i = 0; i < kMessages; ++i) {
    p.tracker.begin({1, 1}, {i, 1}, payload_of(payload), p.now);
  }
  CHECK((memory_bytes() - before) / kMessages <= payload.size() + 64);
  p.worker("w1");
  std::vector<Scheduler::Assignment> assignments;
  do {
    p.scheduler.dispatch(p.now, {}, assignments);
  } while (p.tracker.begin_more());
  REQUIRE(assignments.size() == kMessages);
  // Tables that grow by an eighth are not full.
  CHECK((memory_bytes() - before) / kMessages <= payload.size() + 128);
  CHECK(Tracker::bytes_per_tree() + DeliveryTable::bytes_per_delivery() == 100);
}

TEST_CASE("a message is tried as often as may be asked for, and no more") {
  Pipeline p("a", retried_at_once(UINT32_MAX));
  const auto worker = p.worker("w1");
  p.tracker.begin({1, 1}, {0, 1}, payload_of("m1"), p.now);
  std::vector<Scheduler::Assignment> assignments;
  std::uint32_t attempts = 0;
  while (p.tracker.failed().empty()) {
    assignments.clear();
    p.scheduler.dispatch(p.now, {}, assignments);
    REQUIRE(assignments.size() == 1);
    ++attempts;
    const std::uint32_t delivery = assignments[0].delivery;
    if (p.table.at(delivery).attempt != attempts) FAIL("its attempt is " << attempts);
    p.tracker.fail(p.table.id_of(delivery), worker, {false, "no", {}}, p.now);
    p.tracker.turn(p.now);
  }
  CHECK(attempts == kMaxAttempts);
  CHECK(p.tracker.failed()[0].attempts == kMaxAttempts);
  CHECK(p.tracker.failed()[0].retries == 65'535);
  CHECK(p.tracker.trees_in_flight() == 0);
}

TEST_CASE("as many sources as may have sessions are told apart, and their numbers used again") {
  Pipeline p("a");
  for (std::uint32_t round = 1; round <= 3; ++round) {
    for (std::uint32_t source = 0; source < kMaxNodes; ++source) {
      p.tracker.begin({source, round}, {source, 7}, payload_of("m"), p.now);
    }
    p.forget_source({3, round});
    p.worker("w" + std::to_string(round));
    std::vector<Scheduler::Assignment> assignments;
    p.scheduler.dispatch(p.now, {}, assignments);
    CHECK(assignments.size() == kMaxNodes - 1);
    for (const Scheduler::Assignment& assignment : assignments) {
      p.tracker.acknowledge(p.table.id_of(assignment.delivery), assignment.worker, {}, p.now);
    }
    for (const AckedMessage& acked : p.tracker.acked()) {
      if (acked.owner != PeerId{acked.message.slot, round}) FAIL("another source's");
    }
    CHECK(p.tracker.acked().size() == kMaxNodes - 1);
    p.tracker.acked().clear();
    for (std::uint32_t source = 0; source < kMaxNodes; ++source) p.forget_source({source, round});
  }
}

TEST_CASE("a delivery remembers up to 255 lost workers") {
  Pipeline p("a");
  p.source("m1");
  for (int i = 0; i < 300; ++i) {
    const auto worker = p.worker("w");
    REQUIRE(p.dispatch() == 1);
    p.die(worker);
  }
  p.worker("w");
  CHECK(p.is_alone(p.take("a")));
}

TEST_CASE("the last worker number that may be given fits a delivery") {
  Pipeline p("a");
  std::uint32_t last = 0;
  for (std::size_t i = 0; i < kMaxNodes; ++i) last = p.worker("w", {}, {0, 0});
  p.scheduler.set_window(last, {1, 1000});
  p.source("m1");
  const auto given = p.take("a");
  CHECK(given.worker == last);
  CHECK(p.done(given));
  CHECK(p.is_empty());
}

}  // namespace tempest::tracking
