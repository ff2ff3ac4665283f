#include <catch2/catch.hpp>

#include "worker_world.hpp"

using namespace tempest;
using namespace tempest::task_node;
using Status = wire::Results::Status;
using std::chrono::milliseconds;
using std::chrono::seconds;

TEST_CASE("a stop gives back what was not started, finishes what runs, and says goodbye") {
  World world(1);
  FakeCoordinator& coordinator = world.serve();
  coordinator.deliver(messages(10), world.now);
  world.settle();
  REQUIRE(world.running.size() == 1);
  world.machine.stop(false, world.now, world.effects);
  world.settle();
  CHECK(coordinator.windows.back().messages == 0);
  CHECK(coordinator.count(Status::returned) == 9);
  CHECK(world.broker.registration.state == "draining");
  CHECK(world.broker.registration.tasks.empty());
  CHECK_FALSE(world.finished);

  // What was on its way when the window closed goes back as well.
  coordinator.deliver(messages(5, 0, 100), world.now);
  world.settle();
  CHECK(coordinator.count(Status::returned) == 14);
  CHECK(world.running.size() == 1);

  world.finish(0);
  world.advance(milliseconds(100));
  CHECK(coordinator.count(Status::done) == 1);
  CHECK(world.finished);
  CHECK(world.exit_code == 0);
  CHECK(coordinator.lost == std::vector<std::string>{"left"});
  CHECK(world.broker.lost == std::vector<std::string>{"left"});
}

TEST_CASE("a stop waits until results are confirmed") {
  World world(1);
  FakeCoordinator& coordinator = world.serve();
  coordinator.deliver(messages(1), world.now);
  world.settle();
  coordinator.cut_off = true;
  world.finish(0);
  world.settle();
  world.machine.stop(false, world.now, world.effects);
  world.advance(milliseconds(500));
  CHECK_FALSE(world.finished);
  coordinator.cut_off = false;
  world.advance(seconds(2));
  CHECK(world.finished);
  CHECK(coordinator.count(Status::done) == 1);
}

TEST_CASE("a stop does not wait for a task beyond the drain timeout") {
  World world(1, seconds(2));
  FakeCoordinator& coordinator = world.serve();
  coordinator.deliver(messages(1), world.now);
  world.settle();
  world.machine.stop(false, world.now, world.effects);
  world.advance(milliseconds(1900));
  CHECK_FALSE(world.finished);
  CHECK(world.machine.next_turn() <= world.now + milliseconds(100));
  world.advance(milliseconds(200));
  CHECK(world.finished);
  CHECK(world.exit_code == 0);
  CHECK(coordinator.lost == std::vector<std::string>{"left"});
}

TEST_CASE("a stop at once does not wait at all") {
  World world(1);
  FakeCoordinator& coordinator = world.serve();
  coordinator.deliver(messages(10), world.now);
  world.settle();
  world.machine.stop(false, world.now, world.effects);
  world.settle();
  CHECK_FALSE(world.finished);
  world.machine.stop(true, world.now, world.effects);
  world.settle();
  CHECK(world.finished);
  CHECK(coordinator.lost == std::vector<std::string>{"left"});
}

TEST_CASE("a worker that waits for a topology stops at once") {
  World world;
  world.settle();
  world.machine.stop(false, world.now, world.effects);
  world.settle();
  CHECK(world.finished);
  CHECK(world.exit_code == 0);
}

TEST_CASE("another version is built once what runs is finished and the rest given back") {
  World world(1);
  FakeCoordinator& old = world.serve();
  old.deliver(messages(10), world.now);
  world.settle();
  REQUIRE(world.running.size() == 1);
  FakeCoordinator& newer = world.add_coordinator("pipeline", 12, "tcp://b", "v2");
  world.settle();
  CHECK(old.count(Status::returned) == 9);
  CHECK(world.builds.empty());
  CHECK(world.broker.registration.tasks.empty());

  world.finish(0);
  world.advance(milliseconds(100));
  CHECK(old.count(Status::done) == 1);
  CHECK(old.lost == std::vector<std::string>{"left"});
  REQUIRE(world.builds.size() == 1);
  CHECK(world.builds[0].version == "v2");

  world.served = {{TaskId{0}, "count", false, 0}};
  world.build();
  world.settle();
  CHECK(newer.attached_version == "v2");
  CHECK(newer.attached_tasks == std::vector{TaskId{0}});
  newer.deliver(messages(4), world.now);
  world.finish_all();
  CHECK(newer.results.size() == 4);
  CHECK(world.number("tempest_task_handled_total", "split") == 1);
  CHECK(world.number("tempest_task_handled_total", "count") == 4);
}

TEST_CASE("a coordinator that cannot be reached does not hold up another version for ever") {
  World world(1, seconds(1));
  FakeCoordinator& old = world.serve();
  old.deliver(messages(1), world.now);
  world.settle();
  old.cut_off = true;
  world.finish(0);
  world.add_coordinator("pipeline", 12, "tcp://b", "v2");
  world.advance(milliseconds(1200));
  CHECK(world.builds.size() == 1);
}

TEST_CASE("a task that runs beyond the drain timeout does not hold up another version") {
  World world(1, seconds(2));
  FakeCoordinator& coordinator = world.serve();
  coordinator.deliver(messages(1), world.now);
  world.settle();
  FakeCoordinator& newer = world.add_coordinator("pipeline", 12, "tcp://b", "v2");
  world.advance(milliseconds(1900));
  CHECK(world.builds.empty());
  world.advance(milliseconds(200));
  REQUIRE(world.running.size() == 1);
  CHECK(world.replaced == std::vector<std::size_t>{0});
  REQUIRE(world.builds.size() == 1);
  world.build();
  world.settle();
  CHECK(newer.attached_version == "v2");
  // What the old thread brings in the end counts for nothing.
  world.finish(0);
  world.settle();
  CHECK(coordinator.results.empty());
  CHECK(newer.results.empty());
  newer.deliver(messages(4), world.now);
  world.finish_all();
  CHECK(newer.results.size() == 4);
}
