// What is noted of a message that is traced.

#include "tracking_fixture.hpp"

namespace tempest::tracking {

using Kind = wire::Sighting::Kind;
using Next = wire::Sighting::Next;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

constexpr std::uint64_t kTrace = 0x700000001;

/// Messages that come from traced() are followed; whatever it does, so is the time.
struct TracedPipeline : ServedPipeline {
  explicit TracedPipeline(std::string_view shape,
                          FailureRules rules = rules_of(FailurePolicy::retry))
      : ServedPipeline(shape, std::move(rules)) {
    tracker.traces().set_time(now);
  }

  void traced(std::string_view payload) {
    tracker.begin({1, 1}, {0, 1}, payload_of(payload), now, kTrace);
  }
  void wait(Duration time) {
    tracker.traces().set_time(now + time);
    advance(time);
  }
  /// Hands everything out, and notes it as a coordinator does.
  void hand_out() {
    std::vector<Scheduler::Assignment> assignments;
    scheduler.dispatch(now, {}, assignments);
    for (const auto& assignment : assignments) {
      if (table.at(assignment.delivery).traced) tracker.note_handed_out(assignment.delivery);
      ids.push_back(table.id_of(assignment.delivery));
    }
  }
  DeliveryId next_id() {
    hand_out();
    REQUIRE(!ids.empty());
    const DeliveryId id = ids.front();
    ids.erase(ids.begin());
    return id;
  }
  void acknowledge(std::initializer_list<const char*> outputs = {}) {
    std::vector<Tracker::Output> views;
    for (const char* output : outputs) views.push_back({{}, payload_of(output)});
    REQUIRE(tracker.acknowledge(next_id(), 0, views, now));
  }
  std::vector<wire::Sighting> seen() { return std::exchange(tracker.traces().sightings(), {}); }
  std::vector<Kind> kinds() {
    std::vector<Kind> kinds;
    for (const wire::Sighting& sighting : seen()) kinds.push_back(sighting.kind);
    return kinds;
  }

  std::vector<DeliveryId> ids;
};

}  // namespace

TEST_CASE("of a traced message every hop is noted, with its wait and its time") {
  TracedPipeline p("a -> b");
  p.traced("m");
  p.wait(milliseconds(5));
  p.hand_out();
  p.wait(milliseconds(20));
  p.tracker.note_handled(p.ids.front(), 0, 1234);
  p.acknowledge({"x"});
  p.acknowledge();
  const auto seen = p.seen();
  REQUIRE(seen.size() == 5);
  CHECK(seen[0].kind == Kind::handed_out);
  CHECK(seen[0].task == "a");
  CHECK(seen[0].peer == "w1");
  CHECK(seen[0].waited_us == 5'000);
  CHECK(seen[1].kind == Kind::done);
  CHECK(seen[1].message == kTrace);
  CHECK(seen[1].delivery == seen[0].delivery);
  CHECK(seen[1].attempt == 1);
  CHECK(seen[1].count == 1);
  CHECK(seen[1].at_us == 25'000);
  CHECK(seen[1].waited_us == 5'000);
  CHECK(seen[1].out_us == 20'000);
  CHECK(seen[1].handled_us == 1234);
  CHECK(seen[3].kind == Kind::done);
  CHECK(seen[3].task == "b");
  CHECK(seen[3].handled_us == 0);
  CHECK(seen[4].kind == Kind::tree_done);
}

TEST_CASE("of a message that is not traced nothing is noted") {
  TracedPipeline p("a -> b");
  p.source("m");
  p.hand_out();
  p.acknowledge({"x"});
  p.acknowledge();
  CHECK(p.seen().empty());
  CHECK(p.is_empty());
}

TEST_CASE("a traced attempt that fails says why, and when the next is") {
  TracedPipeline p("a");
  p.traced("m");
  REQUIRE(p.tracker.fail(p.next_id(), 0, {false, "broken", {}}, p.now));
  auto seen = p.seen();
  REQUIRE(seen.size() == 2);
  CHECK(seen[1].kind == Kind::error);
  CHECK(seen[1].text == "broken");
  CHECK(seen[1].next == Next::again);
  CHECK(seen[1].again_us == 100'000);
  CHECK(seen[1].attempt == 1);
  p.wait(milliseconds(150));
  p.wait(milliseconds(7));
  p.hand_out();
  seen = p.seen();
  REQUIRE(seen.size() == 1);
  CHECK(seen[0].attempt == 2);
  CHECK(seen[0].waited_us == 7'000);
  REQUIRE(p.tracker.fail(p.next_id(), 0, {true, "hopeless", {}}, p.now));
  seen = p.seen();
  REQUIRE(seen.size() == 2);
  CHECK(seen[0].kind == Kind::error);
  CHECK(seen[0].next == Next::give_up);
  CHECK(seen[1].kind == Kind::tree_failed);
  CHECK(seen[1].failure == wire::FailureKind::error);
  CHECK(seen[1].task == "a");
  CHECK(seen[1].peer == "w1");
  CHECK(seen[1].text == "hopeless");
}

TEST_CASE("a traced delivery that hangs is a timeout, with its task and its worker") {
  TracedPipeline p("a");
  p.traced("m");
  const DeliveryId hung = p.next_id();
  p.wait(milliseconds(1020));
  CHECK(p.tracker.time_out(hung, 0, false, "the call has not ended within 1s", p.now));
  auto seen = p.seen();
  REQUIRE(seen.size() == 2);
  CHECK(seen[1].kind == Kind::task_timeout);
  CHECK(seen[1].task == "a");
  CHECK(seen[1].peer == "w1");
  CHECK(seen[1].delivery == hung.packed());
  CHECK(seen[1].text == "the call has not ended within 1s");
  CHECK(seen[1].out_us == 1'020'000);
  p.wait(milliseconds(100));
  p.hand_out();
  // The answer that comes too late is no part of the message's way.
  CHECK_FALSE(p.tracker.acknowledge(hung, 0, {}, p.now));
  p.acknowledge();
  CHECK(p.kinds() == std::vector<Kind>{Kind::handed_out, Kind::done, Kind::tree_done});
  CHECK(p.is_empty());
}

TEST_CASE("a traced delivery that comes back says so, and is handed out anew") {
  TracedPipeline p("a");
  p.traced("m");
  REQUIRE(p.tracker.give_back(p.next_id(), 0));
  p.hand_out();
  auto seen = p.seen();
  REQUIRE(seen.size() == 3);
  CHECK(seen[1].kind == Kind::returned);
  CHECK(seen[2].kind == Kind::handed_out);
  CHECK(seen[2].attempt == 1);
  p.ids.clear();
  const auto back = p.scheduler.remove_worker(0);
  p.tracker.worker_died(back, "w1", p.now);
  seen = p.seen();
  REQUIRE(seen.size() == 1);
  CHECK(seen[0].kind == Kind::returned);
  CHECK(seen[0].peer == "w1");
  CHECK(seen[0].text == "its worker is lost");
  p.worker("w2");
  p.acknowledge();
  CHECK(p.kinds() == std::vector<Kind>{Kind::handed_out, Kind::done, Kind::tree_done});
}

TEST_CASE("what is gathered into one call is noted as one delivery") {
  TracedPipeline p("a -> b(all)");
  p.traced("m");
  p.acknowledge({"x", "y", "z"});
  p.acknowledge();
  CHECK(p.kinds() == std::vector<Kind>{Kind::handed_out, Kind::done, Kind::handed_out, Kind::done,
                                       Kind::tree_done});
  CHECK(p.is_empty());
}

TEST_CASE("a traced message that grows without end stays within its bound") {
  TracedPipeline p("a -> b");
  p.traced("m");
  std::vector<Tracker::Output> outputs(TraceBook::kMaxDeliveriesOfTree + 9,
                                       Tracker::Output{{}, payload_of("x")});
  REQUIRE(p.tracker.acknowledge(p.next_id(), 0, outputs, p.now));
  for (std::size_t i = 0; i < outputs.size(); ++i) p.acknowledge();
  const auto seen = p.seen();
  REQUIRE(seen.size() == 2 * TraceBook::kMaxDeliveriesOfTree + 1);
  CHECK(seen.back().kind == Kind::tree_done);
  CHECK(seen.back().count == 10);
  CHECK(p.is_empty());
}

TEST_CASE("a lost source's traced message ends without a word, and its place is another's") {
  TracedPipeline p("a");
  p.traced("m");
  p.hand_out();
  p.forget_source();
  p.seen();
  p.ids.clear();
  p.source("n");
  p.acknowledge();
  CHECK(p.seen().empty());
}

}  // namespace tempest::tracking
