#include "source_node/source_machine.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <set>

#include "source_harness.hpp"

using namespace tempest;
using namespace tempest::source_node;
using namespace std::chrono_literals;

namespace {

std::vector<std::uint64_t> numbers_of(const std::vector<SourceToken>& tokens) {
  std::vector<std::uint64_t> numbers;
  for (const SourceToken& token : tokens) numbers.push_back(token.low);
  return numbers;
}

}  // namespace

TEST_CASE("a message is acked at the source once its tree is done, and not before") {
  SourceHarness harness;
  FakeCoordinator& coordinator = harness.add_coordinator("a");
  harness.fill(3);
  harness.run();

  REQUIRE(coordinator.payloads() == std::vector<std::string>{"0", "1", "2"});
  CHECK(harness.source.acked.empty());
  CHECK(harness.numbers().pending == 3);

  coordinator.ack({coordinator.received[1].id}, harness.now);
  harness.run();
  CHECK(numbers_of(harness.source.acked) == std::vector<std::uint64_t>{1});
  CHECK(harness.numbers().acked == 1);
  CHECK(harness.numbers().pending == 2);
}

TEST_CASE("the next poll is under way while a turn takes in what the last one brought") {
  Plan plan = SourceHarness::default_plan();
  plan.source.read_count = 100;
  plan.source.max_pending = 250;
  SourceHarness harness(plan);
  FakeCoordinator& coordinator = harness.add_coordinator("a");
  harness.fill(300);
  harness.step();
  while (harness.waiting<PollRequest>() == nullptr) {
    REQUIRE(harness.serve_one());
    harness.step();
  }

  // Each time so many have come, and are not held yet: they count all the same.
  for (const std::size_t room : {100U, 50U, 0U}) {
    REQUIRE(harness.serve_one());
    std::vector<Request> ahead;
    harness.machine.ask_ahead(harness.now, ahead);
    REQUIRE(ahead.size() == (room > 0 ? 1 : 0));
    if (room > 0) CHECK(std::get<PollRequest>(ahead[0]).max_messages == room);
    harness.step();
    for (Request& request : ahead) harness.requests.push_back(std::move(request));
  }
  CHECK(coordinator.received.size() == 250);
  CHECK(harness.waiting<PollRequest>() == nullptr);
}

TEST_CASE("nothing is sent beyond a coordinator's window") {
  SourceHarness harness;
  FakeCoordinator& coordinator = harness.add_coordinator("a", 10);
  harness.fill(100);
  harness.run();
  CHECK(coordinator.received.size() == 10);

  SECTION("an outcome gives its credit back") {
    coordinator.ack({coordinator.received[0].id, coordinator.received[1].id}, harness.now);
    harness.run();
    CHECK(coordinator.received.size() == 12);
  }
  SECTION("a window lowered below what is out takes nothing back and lets nothing go") {
    coordinator.give_window(5, 1 << 20, harness.now);
    harness.run();
    coordinator.ack({coordinator.received[0].id}, harness.now);
    harness.run();
    CHECK(coordinator.received.size() == 10);
  }
  SECTION("a larger window takes effect, and a window of zero stops everything") {
    coordinator.give_window(15, 1 << 20, harness.now);
    harness.run();
    CHECK(coordinator.received.size() == 15);
    coordinator.give_window(0, 0, harness.now);
    harness.run();
    coordinator.ack_all(harness.now);
    harness.run();
    CHECK(coordinator.received.empty());
  }
}

TEST_CASE("the bytes out are within the window, but one message always goes") {
  SourceHarness harness;
  FakeCoordinator& coordinator = harness.add_coordinator("a", 0);
  harness.run();
  coordinator.give_window(100, 50, harness.now);
  harness.fill(4, 100);
  harness.run();
  CHECK(coordinator.received.size() == 1);
  coordinator.ack_all(harness.now);
  harness.run();
  CHECK(coordinator.received.size() == 1);
}

TEST_CASE("no more is read than may be pending") {
  Plan plan = SourceHarness::default_plan();
  SECTION("in messages") {
    plan.source.max_pending = 100;
    plan.source.read_count = 30;
    SourceHarness harness(plan);
    FakeCoordinator& coordinator = harness.add_coordinator("a", 5);
    harness.fill(1000);
    harness.pass(1s, 10ms);
    CHECK(harness.numbers().pending <= 100);
    CHECK(harness.numbers().pending > 80);
    for (const PollRequest& poll : harness.source.polls) CHECK(poll.max_messages <= 30);

    const std::size_t polls = harness.source.polls.size();
    harness.pass(1s, 10ms);
    CHECK(harness.source.polls.size() == polls);
    while (harness.numbers().acked < 1000) {
      const std::uint64_t before = harness.numbers().acked;
      coordinator.ack_all(harness.now);
      harness.run();
      CHECK(harness.numbers().pending <= 100);
      REQUIRE(harness.numbers().acked > before);
    }
  }
  SECTION("in bytes") {
    plan.source.max_pending_bytes = 100'000;
    plan.source.read_count = 10;
    SourceHarness harness(plan);
    harness.add_coordinator("a", 5);
    harness.fill(1000, 1000);
    harness.pass(1s, 10ms);
    CHECK(harness.numbers().pending_bytes >= 90'000);
    CHECK(harness.numbers().pending_bytes <= 101'000);
  }
}

TEST_CASE("nothing is read while no coordinator has given a window") {
  SourceHarness harness;
  harness.add_coordinator("a", 0);
  harness.fill(5);
  harness.pass(100ms);
  CHECK(harness.source.polls.empty());
}

TEST_CASE("waits between empty polls double and never exceed max_backoff") {
  Plan plan = SourceHarness::default_plan();
  plan.source.poll_interval = 10ms;
  plan.source.max_backoff = 300ms;
  SourceHarness harness(plan);
  harness.add_coordinator("a");
  harness.pass(5s);

  const auto& times = harness.source.poll_times;
  REQUIRE(times.size() > 10);
  Duration longest{0};
  for (std::size_t i = 1; i < times.size(); ++i) {
    const Duration wait = times[i] - times[i - 1];
    CHECK(wait <= 301ms);
    CHECK(wait >= longest - 1ms);
    longest = std::max(longest, wait);
  }
  CHECK(times[1] - times[0] <= 11ms);
  CHECK(times[2] - times[1] <= 21ms);
  CHECK(longest >= 300ms);
  for (const PollRequest& poll : harness.source.polls) CHECK(poll.wait <= 300ms);

  SECTION("a poll that finds something starts anew") {
    const std::size_t found = times.size();
    harness.fill(1);
    harness.pass(1s);
    REQUIRE(times.size() > found + 3);
    CHECK(times[found + 1] == times[found]);
    CHECK(times[found + 2] - times[found + 1] <= 11ms);
    CHECK(times[found + 3] - times[found + 2] <= 21ms);
  }
}

TEST_CASE("a poll interval above max_backoff is cut to it") {
  Plan plan = SourceHarness::default_plan();
  plan.source.poll_interval = 127s;
  plan.source.max_backoff = 5s;
  SourceHarness harness(plan);
  harness.add_coordinator("a");
  harness.pass(16s, 100ms);
  CHECK(harness.source.polls.size() >= 4);
}

TEST_CASE(
    "a source that says until when it has nothing is polled then, whatever is done meanwhile") {
  SourceHarness harness;
  FakeCoordinator& coordinator = harness.add_coordinator("a");
  harness.pass(100ms);
  const TimePoint due = harness.now + 700ms;
  harness.source.quiet_until = due;
  harness.fill(1);
  harness.pass(500ms);
  coordinator.ack_all(harness.now);
  harness.run();
  REQUIRE(harness.source.acked.size() == 1);
  const std::size_t polls = harness.source.polls.size();
  harness.pass(due - harness.now - 1ms);
  CHECK(harness.source.polls.size() == polls);
  harness.pass(1ms);
  CHECK(harness.source.polls.size() > polls);
  CHECK(harness.source.poll_times[polls] == due);
}

TEST_CASE("acks go at once when none is out, and gather while one is") {
  SourceHarness harness;
  FakeCoordinator& coordinator = harness.add_coordinator("a");
  harness.fill(10);
  harness.run();
  const auto received = coordinator.received;

  coordinator.ack({received[0].id}, harness.now);
  harness.step();
  REQUIRE(harness.waiting<AckRequest>() != nullptr);
  CHECK(harness.waiting<AckRequest>()->tokens.size() == 1);
  for (std::size_t i = 1; i < 10; ++i) {
    coordinator.ack({received[i].id}, harness.now);
    harness.step();
  }
  harness.run();
  CHECK(harness.source.ack_batches == std::vector<std::size_t>{1, 9});
}

TEST_CASE("an ack that failed is kept and sent again, in order, until it is confirmed") {
  SourceHarness harness;
  FakeCoordinator& coordinator = harness.add_coordinator("a");
  harness.fill(4);
  harness.run();
  harness.source.acks_fail = true;
  coordinator.ack_all(harness.now);
  harness.pass(2s, 10ms);
  CHECK(harness.numbers().acked == 0);
  CHECK(harness.numbers().pending == 4);
  CHECK(harness.notified("the source is away"));

  harness.source.acks_fail = false;
  harness.pass(6s, 10ms);
  CHECK(numbers_of(harness.source.acked) == std::vector<std::uint64_t>{0, 1, 2, 3});
  CHECK(harness.numbers().pending == 0);
}

TEST_CASE("a source that is away is reported once, and once when it is back") {
  SourceHarness harness;
  FakeCoordinator& coordinator = harness.add_coordinator("a");
  harness.run();
  harness.source.away = true;
  harness.fill(2);
  harness.pass(60s, 100ms);
  const auto count = [&harness](const std::string& text) {
    return std::count_if(
        harness.notices.begin(), harness.notices.end(),
        [&text](const std::string& notice) { return notice.find(text) != std::string::npos; });
  };
  CHECK(count("the source is away") == 1);
  CHECK(count("the source is back") == 0);
  CHECK(harness.machine.state() == "stalled: the source is away");
  // 100 ms, doubling to 5 s: about 17 tries in a minute.
  CHECK(harness.source.polls.size() < 25);
  CHECK(harness.source.polls.size() > 10);

  harness.source.away = false;
  harness.pass(6s, 100ms);
  CHECK(count("the source is back") == 1);
  CHECK(coordinator.received.size() == 2);
}

TEST_CASE("what keeps a source away is told once, if it is not what cut it off") {
  SourceHarness harness;
  harness.add_coordinator("a");
  harness.run();
  const auto count = [&](const std::string& text) {
    return std::count_if(
        harness.notices.begin(), harness.notices.end(),
        [&](const std::string& notice) { return notice.find(text) != std::string::npos; });
  };
  harness.source.away = true;
  harness.source.why_away = "hung up";
  while (!harness.notified("hung up")) harness.pass(10ms);
  harness.source.why_away = "wrong password";
  harness.pass(60s, 100ms);
  CHECK(count("hung up") == 1);
  CHECK(count("still away: wrong password") == 1);
  harness.source.away = false;
  harness.pass(10s, 100ms);
  CHECK(count("the source is back") == 1);
}

TEST_CASE("a source that is away at the start is opened when it comes") {
  SourceHarness harness;
  harness.source.away = true;
  FakeCoordinator& coordinator = harness.add_coordinator("a");
  harness.fill(2);
  harness.pass(3s, 10ms);
  CHECK(harness.source.polls.empty());
  harness.source.away = false;
  harness.pass(6s, 10ms);
  CHECK(coordinator.received.size() == 2);
}

TEST_CASE("any other error of the source ends the node and says why") {
  SourceHarness harness;
  harness.add_coordinator("a");
  harness.step();
  REQUIRE(harness.waiting<OpenRequest>() != nullptr);
  link::Effects effects;
  harness.machine.take(OpenDone{Error{ErrorCode::io, "lines.txt: no such file", {}}, {}},
                       harness.now, effects);
  CHECK(effects.finished);
  REQUIRE(harness.machine.failure());
  CHECK(harness.machine.failure()->message == "lines.txt: no such file");
}

TEST_CASE("what is acked comes in anew when a server that went back gives it again") {
  SourceHarness harness;
  FakeCoordinator& coordinator = harness.add_coordinator("a");
  harness.fill(2);
  harness.run();
  const auto give_again = [&] {
    PollDone again;
    again.batch.redelivered = true;
    again.batch.add({.payload = "0", .token = {0, 0}});
    link::Effects effects;
    harness.machine.take(std::move(again), harness.now, effects);
    harness.run();
  };
  give_again();
  CHECK(harness.numbers().given_again == 1);
  coordinator.ack({coordinator.received[0].id}, harness.now);
  harness.run();
  REQUIRE(harness.source.acked.size() == 1);
  give_again();
  CHECK(harness.numbers().given_again == 1);
  CHECK(harness.numbers().read == 3);
}

TEST_CASE("messages that the source gives again while they are held are skipped") {
  SourceHarness harness;
  FakeCoordinator& coordinator = harness.add_coordinator("a");
  harness.fill(6);
  harness.run();
  // One is done and its ack on its way, one is done and confirmed, four are out.
  coordinator.ack({coordinator.received[5].id}, harness.now);
  harness.run();
  coordinator.ack({coordinator.received[0].id}, harness.now);
  harness.step();
  REQUIRE(harness.waiting<AckRequest>() != nullptr);

  PollDone again;
  again.batch.redelivered = true;
  for (std::uint64_t i : {0, 1, 2, 3, 4, 100}) {
    again.batch.add({.payload = std::to_string(i), .token = {0, i}});
  }
  link::Effects effects;
  harness.machine.take(std::move(again), harness.now, effects);
  harness.run();
  CHECK(harness.numbers().given_again == 5);
  CHECK(harness.numbers().read == 7);
  CHECK(coordinator.received.size() == 7);
  CHECK(coordinator.received.back().payload == "100");
}

TEST_CASE("two coordinators share the messages by the free share of their windows") {
  SourceHarness harness;
  FakeCoordinator& a = harness.add_coordinator("a", 1000);
  FakeCoordinator& b = harness.add_coordinator("b", 3000);
  harness.run();
  harness.fill(4000);
  harness.pass(20ms);
  CHECK(a.received.size() + b.received.size() == 4000);
  CHECK(a.received.size() == 1000);

  SECTION("evenly where the windows are equal") {
    SourceHarness even;
    FakeCoordinator& c = even.add_coordinator("c", 10'000);
    FakeCoordinator& d = even.add_coordinator("d", 10'000);
    even.run();
    even.fill(2000);
    even.pass(20ms);
    CHECK(c.received.size() + d.received.size() == 2000);
    CHECK(c.received.size() >= 700);
    CHECK(d.received.size() >= 700);
  }
}

TEST_CASE("a lost coordinator's messages go to another, in order, and first") {
  SourceHarness harness;
  FakeCoordinator& a = harness.add_coordinator("a", 10);
  harness.fill(20);
  harness.run();
  REQUIRE(a.received.size() == 10);
  const auto old = a.received;

  a.restart();
  a.initial_window = 30;
  harness.pass(5s, 10ms);
  // Whoever answers at that address now is not whom the directory names.
  CHECK(a.received.empty());
  harness.publish_directory();
  harness.pass(1s, 10ms);
  REQUIRE(a.received.size() == 20);
  for (std::size_t i = 0; i < 20; ++i) CHECK(a.received[i].payload == std::to_string(i));
  CHECK(harness.numbers().resent == 10);

  SECTION("what is still said of the old sending counts for nothing") {
    a.ack({old[0].id, old[1].id}, harness.now);
    harness.run();
    CHECK(harness.numbers().acked == 0);
    CHECK(harness.numbers().stale_outcomes == 2);
  }
  SECTION("they are acked once") {
    a.ack_all(harness.now);
    harness.run();
    CHECK(harness.numbers().acked == 20);
    CHECK(harness.numbers().pending == 0);
  }
}

TEST_CASE("a coordinator that is gone for good loses its messages to the other") {
  SourceHarness harness;
  FakeCoordinator& a = harness.add_coordinator("a", 10);
  FakeCoordinator& b = harness.add_coordinator("b", 10);
  harness.fill(20);
  harness.run();
  REQUIRE(a.received.size() == 10);
  REQUIRE(b.received.size() == 10);
  harness.coordinators.erase("a");
  harness.pass(5s, 10ms);
  b.ack_all(harness.now);
  harness.run();
  CHECK(b.received.size() == 10);
  b.ack_all(harness.now);
  harness.run();
  CHECK(harness.numbers().acked == 20);
  CHECK(harness.numbers().resent == 10);
}

TEST_CASE("a live coordinator stays although a restarted broker does not list it") {
  SourceHarness harness;
  FakeCoordinator& a = harness.add_coordinator("a");
  harness.run();
  auto kept = std::move(harness.coordinators["a"]);
  harness.coordinators.erase("a");
  harness.publish_directory();
  harness.coordinators["a"] = std::move(kept);
  harness.fill(3);
  harness.pass(100ms);
  CHECK(a.received.size() == 3);
}

TEST_CASE("unknown and repeated outcomes are counted and ack nothing") {
  SourceHarness harness;
  FakeCoordinator& coordinator = harness.add_coordinator("a");
  harness.fill(2);
  harness.run();
  const MessageId first = coordinator.received[0].id;

  coordinator.ack({MessageId{77, 1}, MessageId{first.slot, first.generation + 1}}, harness.now);
  harness.run();
  CHECK(harness.numbers().acked == 0);
  CHECK(harness.numbers().stale_outcomes == 2);

  coordinator.ack({first, first}, harness.now);
  harness.run();
  CHECK(harness.numbers().acked == 1);
  CHECK(harness.numbers().stale_outcomes == 3);
  CHECK(harness.source.acked.size() == 1);
}

TEST_CASE("one coordinator cannot ack another's messages") {
  SourceHarness harness;
  FakeCoordinator& a = harness.add_coordinator("a", 1);
  FakeCoordinator& b = harness.add_coordinator("b", 1);
  harness.fill(2);
  harness.run();
  REQUIRE(a.received.size() == 1);
  REQUIRE(b.received.size() == 1);
  b.ack({a.received[0].id}, harness.now);
  harness.run();
  CHECK(harness.numbers().acked == 0);
  CHECK(harness.numbers().stale_outcomes == 1);
}

TEST_CASE("returned messages are sent again, first and in order, after a pause") {
  SourceHarness harness;
  FakeCoordinator& coordinator = harness.add_coordinator("a", 3);
  harness.fill(5);
  harness.run();
  const auto received = coordinator.received;
  coordinator.received.clear();
  coordinator.give_back({received[0].id, received[1].id, received[2].id}, harness.now);
  harness.run();
  CHECK(coordinator.received.empty());
  harness.pass(100ms);
  CHECK(coordinator.payloads() == std::vector<std::string>{"0", "1", "2"});
  CHECK(harness.numbers().resent == 0);
}

TEST_CASE("a new version that only changes bounds takes effect without reopening") {
  Plan plan = SourceHarness::default_plan();
  plan.source.max_pending = 8;
  SourceHarness harness(plan);
  FakeCoordinator& coordinator = harness.add_coordinator("a");
  harness.fill(100);
  harness.run();
  CHECK(coordinator.received.size() == 8);
  plan.source.max_pending = 16;
  plan.version = "v2";
  harness.set_plan("second", plan);
  harness.run();
  CHECK(coordinator.received.size() == 16);
  CHECK(harness.source.opens == 1);
}

TEST_CASE("a new version with another source is opened once everything is done") {
  Plan plan = SourceHarness::default_plan();
  SourceHarness harness(plan);
  FakeCoordinator& coordinator = harness.add_coordinator("a");
  harness.fill(3);
  harness.run();
  plan.source.endpoint.type = "other";
  plan.version = "v2";
  harness.set_plan("second", plan);
  harness.run();
  harness.fill(3);
  harness.pass(2s, 10ms);
  CHECK(harness.source.opens == 1);
  CHECK(coordinator.received.size() == 3);

  coordinator.ack_all(harness.now);
  harness.pass(2s, 10ms);
  CHECK(harness.source.opens == 2);
  CHECK(coordinator.received.size() == 3);
}

TEST_CASE("a new version that cannot be used leaves the old one in place") {
  SourceHarness harness;
  FakeCoordinator& coordinator = harness.add_coordinator("a");
  harness.run();
  harness.topology_text = "nonsense";
  harness.publish_directory();
  harness.fill(1);
  harness.pass(2s, 10ms);
  CHECK(harness.notified("the old one stays"));
  CHECK(coordinator.received.size() == 1);
}
