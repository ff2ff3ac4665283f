#include <catch2/catch.hpp>

#include "worker_world.hpp"

using namespace tempest;
using namespace tempest::task_node;
using std::chrono::milliseconds;
using std::chrono::seconds;

TEST_CASE("a worker waits for a definition, builds it, and attaches to its coordinator") {
  World world(3);
  world.settle();
  CHECK(world.builds.empty());
  CHECK(world.broker.registration.state == "waiting for a coordinator to bring the topology");

  FakeCoordinator& coordinator = world.add_coordinator("pipeline", 11, "tcp://a");
  world.settle();
  REQUIRE(world.builds.size() == 1);
  CHECK(world.builds[0].version == "v1");
  CHECK(world.builds[0].text == "text of v1");
  CHECK(world.broker.registration.tasks.empty());
  CHECK_FALSE(coordinator.attached_version);

  world.build();
  world.settle();
  CHECK(coordinator.attached_version == "v1");
  CHECK(coordinator.attached_tasks == std::vector{TaskId{0}, TaskId{1}});
  REQUIRE(coordinator.windows.size() == 1);
  CHECK(coordinator.windows[0].messages == 3 * 4);
  CHECK(coordinator.windows[0].bytes == 16ULL << 20);
  CHECK(world.broker.registration.tasks == std::vector<std::string>{"split", "count"});
  CHECK(world.broker.registration.topology_version == "v1");
  CHECK(world.broker.registration.state == "running");
}

TEST_CASE("a topology that cannot be built here ends the worker with the reason") {
  World world;
  world.add_coordinator("pipeline", 11, "tcp://a");
  world.settle();
  world.build(Error{ErrorCode::configuration, "no library \"words\""});
  world.settle();
  CHECK(world.finished);
  CHECK(world.exit_code == 78);
  REQUIRE(world.errors.size() == 1);
  CHECK(world.errors[0] == "the topology cannot be built here: no library \"words\"");
}

TEST_CASE("a version that was replaced while it was being built is built anew") {
  World world;
  world.add_coordinator("pipeline", 11, "tcp://a");
  world.settle();
  FakeCoordinator& newer = world.add_coordinator("pipeline", 12, "tcp://b", "v2");
  world.settle();
  world.build(Error{ErrorCode::configuration, "of no interest any more"});
  world.settle();
  REQUIRE(world.builds.size() == 1);
  CHECK(world.builds[0].version == "v2");
  world.build();
  world.settle();
  CHECK_FALSE(world.finished);
  CHECK(newer.attached_version == "v2");
}

TEST_CASE("a worker attaches to every coordinator of its version, and shares its window out") {
  World world(2);
  FakeCoordinator& first = world.serve();
  FakeCoordinator& second = world.add_coordinator("other", 21, "tcp://b");
  world.broker.directory.coordinators.push_back({"older", {31, 31}, "tcp://c", "v0"});
  world.coordinators["tcp://c"] = std::make_unique<FakeCoordinator>("older", 31);
  world.broker.publish(world.now);
  world.advance(milliseconds(100));
  CHECK(second.attached_version == "v1");
  CHECK(second.windows.back().messages == 4);
  CHECK(first.windows.back().messages == 4);
  CHECK_FALSE(world.coordinators["tcp://c"]->worker);
}

TEST_CASE("a coordinator that is started anew elsewhere gets a link of its own") {
  World world;
  FakeCoordinator& old = world.serve();
  const auto channels = world.open_channels;
  old.cut_off = true;
  FakeCoordinator& restarted = world.add_coordinator("pipeline", 12, "tcp://b");
  world.settle();
  CHECK(restarted.attached_version == "v1");
  CHECK(world.machine.coordinators_up() == 2);  // The old one's lease is not over.
  world.advance(seconds(4));
  CHECK(world.machine.coordinators_up() == 1);
  CHECK(world.open_channels.size() == channels.size());
  CHECK(world.open_channels != channels);
}

TEST_CASE("a coordinator that is started anew at the same endpoint is attached to once") {
  World world;
  world.serve();
  SECTION("when the directory says so first") {
    FakeCoordinator& restarted = world.add_coordinator("pipeline", 12, "tcp://a");
    world.settle();
    CHECK(restarted.attached_version == "v1");
    world.advance(seconds(4));
    CHECK(restarted.attached_version == "v1");
    CHECK(restarted.lost.empty());
  }
  SECTION("when the link finds out first") {
    world.coordinators["tcp://a"] = std::make_unique<FakeCoordinator>("pipeline", 12);
    FakeCoordinator& restarted = *world.coordinators["tcp://a"];
    world.advance(seconds(2));
    // Not whom the directory names: not before it does.
    CHECK_FALSE(restarted.attached_version);
    // Of no interest here, and still with the old life in it.
    world.broker.directory.workers.push_back({"worker", {1, 1}, {"split"}});
    world.broker.publish(world.now);
    world.advance(seconds(2));
    CHECK_FALSE(restarted.attached_version);
    world.broker.directory.coordinators[0].incarnation = {12, 12};
    world.broker.publish(world.now);
    world.advance(seconds(4));
    CHECK(restarted.attached_version == "v1");
    CHECK(restarted.lost.empty());
  }
  CHECK(world.machine.coordinators_up() == 1);
  CHECK(world.open_channels.size() == 2);
}

TEST_CASE("a coordinator that left the directory is kept as long as its link is up") {
  World world;
  FakeCoordinator& coordinator = world.serve();
  world.unlist("pipeline");
  world.broker.publish(world.now);
  world.advance(seconds(10));
  CHECK(world.machine.coordinators_up() == 1);
  coordinator.deliver(messages(1), world.now);
  world.finish_all();
  CHECK(coordinator.results.size() == 1);

  coordinator.cut_off = true;
  world.advance(seconds(4));
  CHECK(world.machine.coordinators_up() == 0);
  CHECK(world.open_channels.size() == 1);
}

TEST_CASE("a listed coordinator that was away is attached to when it is back") {
  World world;
  FakeCoordinator& coordinator = world.serve();
  coordinator.cut_off = true;
  world.advance(seconds(5));
  CHECK(world.machine.coordinators_up() == 0);
  coordinator.cut_off = false;
  world.advance(seconds(1));
  CHECK(world.machine.coordinators_up() == 1);
  CHECK(coordinator.attached_version == "v1");
  CHECK(world.number("tempest_coordinators_lost_total") == 1);
}
