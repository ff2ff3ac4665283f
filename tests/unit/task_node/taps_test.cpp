// What a worker shows of the messages at its tasks.

#include <catch2/catch.hpp>

#include "worker_world.hpp"

using namespace tempest;
using namespace tempest::task_node;
using Kind = wire::Sighting::Kind;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

wire::Watch tap_of(std::uint32_t id, std::string task, wire::Watch::Side side) {
  wire::Watch watch;
  watch.id = id;
  watch.kind = wire::Watch::Kind::tap;
  watch.topology = "words";
  watch.task = std::move(task);
  watch.side = side;
  watch.per_second = 10;
  watch.max_bytes = 9;
  return watch;
}

struct TappedWorld : World {
  explicit TappedWorld(std::vector<wire::Watch> watches) : coordinator(serve()) {
    watch(std::move(watches));
  }
  void watch(std::vector<wire::Watch> watches) {
    broker.directory.watches = std::move(watches);
    broker.publish(now);
    settle();
  }
  void pass_through(std::vector<Sent> sent, const std::string& output) {
    coordinator.deliver(sent, now);
    settle();
    while (!running.empty()) {
      finish(0, microseconds(10), output);
      settle();
    }
  }
  std::vector<wire::Sighting> seen() {
    std::vector<wire::Sighting> all;
    for (wire::Sightings& frame : std::exchange(sightings, {})) {
      all.insert(all.end(), frame.sightings.begin(), frame.sightings.end());
    }
    return all;
  }

  FakeCoordinator& coordinator;
};

}  // namespace

TEST_CASE("a tap shows what its task is given, and what it makes of it, and no other task's") {
  TappedWorld world({tap_of(7, "split", wire::Watch::both)});
  world.pass_through(messages(1, 0, 10), "made of it");
  world.pass_through(messages(1, 1, 20), "of another");
  const auto seen = world.seen();
  REQUIRE(seen.size() == 2);
  CHECK(seen[0].kind == Kind::input);
  CHECK(seen[0].message >> 32 == 7);
  CHECK(seen[0].task == "split");
  CHECK(seen[0].payload == "payload 1");
  CHECK(seen[0].payload_bytes == 10);
  CHECK(seen[0].attempt == 1);
  CHECK(seen[1].kind == Kind::output);
  CHECK(seen[1].payload == "made of i");
  CHECK(seen[1].payload_bytes == 10);
}

TEST_CASE("a tap at one side shows that side only") {
  const auto side = GENERATE(wire::Watch::input, wire::Watch::output);
  TappedWorld world({tap_of(7, "split", side)});
  world.pass_through(messages(1), "made of it");
  const auto seen = world.seen();
  REQUIRE(seen.size() == 1);
  CHECK(seen[0].kind == (side == wire::Watch::input ? Kind::input : Kind::output));
}

TEST_CASE("the input is shown before the task has come back") {
  TappedWorld world({tap_of(7, "split", wire::Watch::both)});
  world.coordinator.deliver(messages(1), world.now);
  world.settle();
  REQUIRE(world.running.size() == 1);
  CHECK(world.seen().size() == 1);
}

TEST_CASE("under load a tap shows so many a second, and says of how many") {
  TappedWorld world({tap_of(7, "split", wire::Watch::input)});
  for (std::uint32_t i = 0; i < 100; ++i) {
    world.pass_through(messages(50, 0, i * 50), "x");
    world.advance(milliseconds(10));
  }
  std::size_t shown = 0;
  std::uint64_t of = 0;
  for (const wire::Sightings& frame : world.sightings) {
    shown += frame.sightings.size();
    of = frame.seen;
  }
  CHECK(shown >= 19);
  CHECK(shown <= 21);
  CHECK(of > 4'000);
  CHECK(world.coordinator.results.size() == 5'000);
}

TEST_CASE("while a tap wants messages some executions are not fused, and not all") {
  TappedWorld world({tap_of(7, "count", wire::Watch::input)});
  std::size_t unfused = 0;
  for (std::uint32_t i = 0; i < 1000; ++i) {
    world.coordinator.deliver(messages(1, 0, i), world.now);
    world.settle();
    unfused += world.running.front()->unfused ? 1 : 0;
    world.finish(0);
    world.now += milliseconds(1);
  }
  CHECK(unfused >= 95);
  CHECK(unfused <= 105);
  world.watch({});
  world.coordinator.deliver(messages(1, 0, 2000), world.now);
  world.settle();
  CHECK_FALSE(world.running.front()->unfused);
}

TEST_CASE("a tap ends with its watch, and one at a task that is not served shows nothing") {
  TappedWorld world({tap_of(7, "split", wire::Watch::input), tap_of(8, "else", wire::Watch::both)});
  world.pass_through(messages(1), "x");
  CHECK(world.seen().size() == 1);
  world.watch({});
  world.pass_through(messages(1, 0, 1), "x");
  CHECK(world.seen().empty());
}

TEST_CASE("a traced delivery's result says how long it took; others' do not") {
  TappedWorld world({});
  auto sent = messages(3);
  sent[1].traced = true;
  world.coordinator.deliver(sent, world.now);
  world.finish_all(microseconds(120));
  REQUIRE(world.coordinator.results.size() == 3);
  CHECK(world.coordinator.results[0][0].handled_us == 0);
  CHECK(world.coordinator.results[1][0].handled_us == 120);
  CHECK(world.coordinator.results[2][0].handled_us == 0);
}
