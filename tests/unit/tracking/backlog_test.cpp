// What has come beyond what workers may take soon.

#include "tempest/tracking/backlog.hpp"

#include "tracking_fixture.hpp"

namespace tempest::tracking {

using Texts = Pipeline::Texts;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

/// Two of the source's messages are begun ahead.
QueueLimits two_ahead() {
  QueueLimits limits;
  limits.begun_ahead = 2;
  return limits;
}

}  // namespace

TEST_CASE("messages leave a backlog as they came, however many there are") {
  Backlog backlog;
  const TimePoint start{seconds(1)};
  for (std::uint32_t i = 0; i < 10'000; ++i) {
    backlog.push({i / 3'000, 1}, {i, 1}, payload_of("m" + std::to_string(i)),
                 start + milliseconds(i / 100), i % 1'000 == 7 ? i : 0);
  }
  CHECK(backlog.size() == 10'000);
  CHECK(backlog.size_bytes() == 10 * 2 + 90 * 3 + 900 * 4 + 9'000 * 5);
  for (std::uint32_t i = 0; i < 10'000; ++i) {
    REQUIRE(backlog.oldest() == start + milliseconds(i / 100));
    const Backlog::Message message = backlog.pop();
    REQUIRE(message.owner == PeerId{i / 3'000, 1});
    REQUIRE(message.id == MessageId{i, 1});
    REQUIRE(message.payload.bytes() == "m" + std::to_string(i));
    REQUIRE(message.came == start + milliseconds(i / 100));
    REQUIRE(message.trace == (i % 1'000 == 7 ? i : 0));
  }
  CHECK(backlog.empty());
  CHECK(backlog.size_bytes() == 0);
}

TEST_CASE("a lost source's messages leave a backlog, and the others stay in order") {
  Backlog backlog;
  for (std::uint32_t i = 0; i < 10'000; ++i) {
    backlog.push({i % 2, 1}, {i, 1}, payload_of("m"), TimePoint{}, i);
  }
  CHECK(backlog.forget({0, 1}) == 5'000);
  CHECK(backlog.forget({0, 1}) == 0);
  CHECK(backlog.size() == 5'000);
  for (std::uint32_t i = 1; i < 10'000; i += 2) {
    const Backlog::Message message = backlog.pop();
    REQUIRE(message.id == MessageId{i, 1});
    REQUIRE(message.trace == i);
  }
  CHECK(backlog.empty());
}

TEST_CASE("what is beyond what workers may take soon has no tree yet, and counts as if it had") {
  Pipeline p("a, b", rules_of(FailurePolicy::retry), two_ahead());
  for (const char* name : {"m1", "m2", "m3", "m4", "m5"}) p.source(name);
  CHECK(p.tracker.backlog().size() == 3);
  CHECK(p.table.size() == 4);
  CHECK(p.tracker.trees_in_flight() == 5);
  CHECK(p.tracker.trees_started() == 5);
  CHECK(p.waiting("a") == 5);
  CHECK(p.scheduler.queued() == 10);
  CHECK(p.scheduler.queued_bytes() == 20);
  p.worker("w1", {"a"});
  CHECK(p.at_work("a") == Texts{"m1", "m2", "m3", "m4", "m5"});
  CHECK(p.tracker.backlog().empty());
  CHECK(p.waiting("b") == 5);
}

TEST_CASE("a backlog is begun with as workers take what was begun before") {
  Pipeline p("a", rules_of(FailurePolicy::retry), two_ahead());
  for (const char* name : {"m1", "m2", "m3", "m4", "m5"}) p.source(name);
  p.worker("w1", {}, {1, 1000});
  CHECK(p.at_work("a") == Texts{"m1"});
  CHECK(p.tracker.backlog().size() == 2);
  p.source("m6");
  p.done("a");
  p.done("a");
  CHECK(p.at_work("a") == Texts{"m3"});
  CHECK(p.tracker.backlog().size() == 1);
  for (int i = 0; i < 4; ++i) p.done("a");
  CHECK(p.acked() == Texts{"m1", "m2", "m3", "m4", "m5", "m6"});
  CHECK(p.is_empty());
}

TEST_CASE("what waits in a backlog waits for as long as it must, whatever its timeout") {
  FailureRules rules = rules_of(FailurePolicy::retry);
  rules.tree_timeout = seconds(10);
  Pipeline p("a", rules, two_ahead());
  for (const char* name : {"m1", "m2", "m3"}) p.source(name);
  CHECK(p.tracker.backlog().size() == 1);
  p.advance(std::chrono::hours(24));
  CHECK(p.tracker.next_turn() == kNever);
  p.worker("w1");
  for (int i = 0; i < 3; ++i) p.done("a");
  CHECK(p.acked() == Texts{"m1", "m2", "m3"});
  CHECK(p.is_empty());
}

TEST_CASE("with a max_age nothing waits in a backlog, since each message has an end of its own") {
  FailureRules rules = rules_of(FailurePolicy::retry);
  rules.max_age = seconds(10);
  Pipeline p("a", rules, two_ahead());
  for (const char* name : {"m1", "m2", "m3"}) p.source(name);
  CHECK(p.tracker.backlog().empty());
  p.advance(seconds(10));
  CHECK(p.failed() == Texts{"m1", "m2", "m3"});
  CHECK(p.is_empty());
}

TEST_CASE("a lost source's messages go from the backlog too") {
  Pipeline p("a", rules_of(FailurePolicy::retry), two_ahead());
  for (const char* name : {"m1", "m2", "m3"}) p.source(name, {}, PeerId{1, 1});
  p.source("m4", {}, PeerId{2, 1});
  p.forget_source(PeerId{1, 1});
  CHECK(p.tracker.trees_forgotten() == 3);
  CHECK(p.tracker.trees_in_flight() == 1);
  CHECK(p.waiting("a") == 1);
  p.worker("w1");
  p.done("a");
  CHECK(p.acked() == Texts{"m4"});
  CHECK(p.is_empty());
}

TEST_CASE("where a root is grouped by key nothing waits in a backlog") {
  Pipeline p("a, k(key)", rules_of(FailurePolicy::retry), two_ahead());
  for (const char* name : {"m1", "m2", "m3", "m4"}) p.source(name);
  CHECK(p.tracker.backlog().empty());
}

}  // namespace tempest::tracking
