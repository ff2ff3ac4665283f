// Deliveries that are to run alone, since workers have died that had them.

#include <catch2/catch.hpp>

#include "worker_world.hpp"

using namespace tempest;
using namespace tempest::task_node;
using Status = wire::Results::Status;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

std::vector<std::uint32_t> slots_running(const World& world) {
  std::vector<std::uint32_t> slots;
  for (const auto& execution : world.running) {
    for (const Assigned& assigned : execution->deliveries) slots.push_back(assigned.item->id.slot);
  }
  return slots;
}

std::vector<Status> said_of(FakeCoordinator& coordinator, std::uint32_t slot) {
  std::vector<Status> said;
  for (const Answer& answer : coordinator.results[slot]) said.push_back(answer.status);
  return said;
}

using Slots = std::vector<std::uint32_t>;
using Statuses = std::vector<Status>;

}  // namespace

TEST_CASE("one that is to run alone starts when its coordinator knows of it, and not before") {
  World world;
  FakeCoordinator& coordinator = world.serve();
  world.advance(seconds(1));
  coordinator.deliver({{1, 0, "x", {}, true}}, world.now);
  world.settle();
  CHECK(said_of(coordinator, 1) == Statuses{Status::started});
  // The confirmation is on its way no later than the link's ack delay.
  CHECK(world.running.empty());
  world.advance(milliseconds(20));
  CHECK(slots_running(world) == Slots{1});
  world.finish_all();
  CHECK(said_of(coordinator, 1) == Statuses{Status::started, Status::done});
}

TEST_CASE("one that is to run alone waits for what runs, and others wait for it") {
  World world(2);
  FakeCoordinator& coordinator = world.serve();
  coordinator.deliver({{1, 0, "x", {}}, {2, 0, "x", {}, true}, {3, 0, "x", {}}}, world.now);
  world.advance(milliseconds(100));
  CHECK(slots_running(world) == Slots{1});
  CHECK(said_of(coordinator, 2).empty());
  world.finish(0);
  world.advance(milliseconds(100));
  CHECK(slots_running(world) == Slots{2});
  world.finish(0);
  world.advance(milliseconds(100));
  CHECK(slots_running(world) == Slots{3});
}

TEST_CASE("between two that run alone the threads get a batch of what others have sent") {
  World world(1);
  FakeCoordinator& coordinator = world.serve();
  coordinator.deliver({{1, 0, "x", {}, true}, {2, 0, "x", {}, true}, {3, 1, "x", "k"}}, world.now);
  world.advance(milliseconds(100));
  CHECK(slots_running(world) == Slots{1});
  world.finish(0);
  world.advance(milliseconds(100));
  CHECK(slots_running(world) == Slots{3});
  world.finish(0);
  world.advance(milliseconds(100));
  CHECK(slots_running(world) == Slots{2});
}

TEST_CASE("once one is announced nothing else runs before it, whatever comes") {
  World world(2);
  FakeCoordinator& coordinator = world.serve();
  world.advance(seconds(1));
  for (const bool alone : {false, true}) {
    coordinator.deliver({{1, 1, "x", "k", true}}, world.now);
    world.settle();
    REQUIRE(said_of(coordinator, 1).back() == Status::started);
    coordinator.deliver({{2, 0, "x", {}, alone}}, world.now);
    world.settle();
    CHECK(slots_running(world) == Slots{1});
    world.finish(0);
    world.advance(milliseconds(50));
    CHECK(slots_running(world) == Slots{2});
    world.finish_all();
  }
}

TEST_CASE("nothing else runs before the result of one that ran alone is confirmed") {
  World world(2);
  FakeCoordinator& coordinator = world.serve();
  FakeCoordinator& other = world.add_coordinator("other", 21, "tcp://b");
  world.settle();
  coordinator.deliver({{1, 0, "x", {}, true}}, world.now);
  other.deliver({{2, 0, "x", {}}}, world.now);
  world.advance(milliseconds(50));
  REQUIRE(slots_running(world) == Slots{1});
  world.finish(0);
  world.settle();
  // Were the worker to die of the other one now, this one would be blamed.
  CHECK(world.running.empty());
  world.advance(milliseconds(50));
  CHECK(slots_running(world) == Slots{2});
}

TEST_CASE("a suspect of another coordinator waits for that confirmation as well") {
  World world(2);
  FakeCoordinator& coordinator = world.serve();
  FakeCoordinator& other = world.add_coordinator("other", 21, "tcp://b");
  world.settle();
  coordinator.deliver({{1, 0, "x", {}, true}}, world.now);
  other.deliver({{2, 0, "x", {}, true}}, world.now);
  world.advance(milliseconds(50));
  REQUIRE(slots_running(world) == Slots{1});
  coordinator.cut_off = true;
  world.finish(0);
  world.advance(milliseconds(50));
  CHECK(world.running.empty());
  coordinator.cut_off = false;
  world.advance(seconds(1));
  CHECK(slots_running(world) == Slots{2});
}

TEST_CASE("while a confirmation is waited for beside a thread that hangs, the worker waits") {
  World world(2);
  FakeCoordinator& coordinator = world.serve();
  coordinator.deliver({{1, 0, "hangs", {}}}, world.now);
  world.settle();
  coordinator.deliver({{2, 0, "x", {}, true}, {3, 0, "x", {}, true}, {4, 0, "x", {}}}, world.now);
  world.advance(milliseconds(1100));
  REQUIRE(slots_running(world) == Slots{1, 2});
  coordinator.cut_off = true;
  world.finish(1);
  world.settle();
  CHECK(world.machine.next_turn() > world.now);
  coordinator.cut_off = false;
  world.advance(seconds(1));
  CHECK(slots_running(world).size() == 2);
}

TEST_CASE("a key's messages keep their order around the one that runs alone") {
  World world(2);
  FakeCoordinator& coordinator = world.serve();
  coordinator.deliver({{1, 1, "x", "k"}, {2, 1, "x", "k", true}, {3, 1, "x", "k"}}, world.now);
  Slots order;
  for (int i = 0; i < 3; ++i) {
    world.advance(milliseconds(100));
    REQUIRE(slots_running(world).size() == 1);
    order.push_back(slots_running(world)[0]);
    world.finish(0);
  }
  CHECK(order == Slots{1, 2, 3});
}

TEST_CASE("one that is to run alone does not wait for a thread that hangs") {
  World world(2);
  FakeCoordinator& coordinator = world.serve();
  coordinator.deliver({{1, 0, "hangs", {}}}, world.now);
  world.settle();
  coordinator.deliver({{2, 0, "x", {}, true}}, world.now);
  world.advance(milliseconds(900));
  CHECK(slots_running(world) == Slots{1});
  world.advance(milliseconds(200));
  CHECK(slots_running(world) == Slots{1, 2});
}

TEST_CASE("what was to run alone goes with its session") {
  World world;
  FakeCoordinator& first = world.serve();
  FakeCoordinator& second = world.add_coordinator("other", 21, "tcp://b");
  world.settle();
  first.deliver({{1, 0, "x", {}, true}}, world.now);
  world.settle();
  REQUIRE(said_of(first, 1) == Statuses{Status::started});
  first.cut_off = true;
  world.advance(seconds(4));
  second.deliver({{2, 0, "x", {}}}, world.now);
  world.settle();
  CHECK(slots_running(world) == Slots{2});
}

TEST_CASE("what was to run alone goes back unmarked when the worker stops") {
  World world;
  FakeCoordinator& coordinator = world.serve();
  world.advance(seconds(1));
  coordinator.deliver({{1, 0, "x", {}, true}, {2, 0, "x", {}, true}}, world.now);
  world.settle();
  world.machine.stop(false, world.now, world.effects);
  world.advance(milliseconds(100));
  CHECK(said_of(coordinator, 1) == Statuses{Status::started, Status::returned});
  CHECK(said_of(coordinator, 2) == Statuses{Status::returned});
  CHECK(world.finished);
}

TEST_CASE("a thread that does not come back is said to be stalled, and said when it has") {
  World world(2);
  FakeCoordinator& coordinator = world.serve();
  coordinator.deliver({{1, 0, "hangs", {}}}, world.now);
  // That others are busy does not hide it.
  for (int i = 0; i < 11; ++i) {
    CHECK(world.warnings.empty());
    world.advance(milliseconds(950));
    coordinator.deliver({{static_cast<std::uint32_t>(10 + i), 0, "x", {}}}, world.now);
    world.settle();
    REQUIRE(slots_running(world).size() == 2);
    world.finish(1);
  }
  world.settle();
  CHECK(world.warnings ==
        std::vector<std::string>{"stalled: task 'split' has not come back for 10s"});
  CHECK(world.broker.registration.state == "stalled: task 'split' has not come back for 10s");
  CHECK(world.number("tempest_stalled") == 1);
  world.finish(0);
  world.settle();
  CHECK(world.broker.registration.state == "running");
  CHECK(world.number("tempest_stalled") == 0);
}
