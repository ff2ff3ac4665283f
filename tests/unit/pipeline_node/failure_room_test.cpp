#include <catch2/catch.hpp>

#include "pipeline_world.hpp"
#include "tempest/wire/failure_credit.hpp"

using namespace tempest;
using namespace tempest::pipeline_node;
using Status = wire::Results::Status;

namespace {

constexpr const char* kTwoTasks =
    "[[task]]\nname = \"a\"\nuses = \"identity\"\n[[task]]\nname = \"b\"\nuses = "
    "\"identity\"\nafter = [\"a\"]\n";

/// A source that can be told of so much.
Peer& add_source(World& world, const std::string& name, std::uint64_t room) {
  world.peers.push_back(std::make_unique<Peer>(Role::source, name, 1));
  world.run();
  world.peers.back()->send(wire::Attach{world.topology.version, {}, 0, room}, world.now);
  world.run();
  return *world.peers.back();
}

void fail_all(World& world, Peer& worker) {
  for (const auto& delivery : std::exchange(worker.deliveries, {})) {
    world.answer(worker, delivery.id, Status::fail, "no");
  }
}

}  // namespace

TEST_CASE("failed messages wait at the coordinator until their source has room for them") {
  World world(kTwoTasks);
  const std::string payload(10'000, 'x');
  const std::uint64_t cost = wire::failure_cost(2, payload.size());
  Peer& source = add_source(world, "s", cost + 1);
  Peer& worker = world.add_worker("w");
  world.send(source, std::vector<std::string>(5, payload));
  fail_all(world, worker);
  CHECK(source.failed.size() == 2);
  CHECK(world.number("tempest_failed_messages_waiting") == 3);
  CHECK(world.number("tempest_failed_bytes_waiting") == 30'000);
  source.send(wire::Window{0, cost * 4}, world.now);
  world.run();
  CHECK(source.failed.size() == 4);

  SECTION("and go to it one by one") {
    source.send(wire::Window{0, cost * 4 + 1}, world.now);
    world.run();
    CHECK(source.failed.size() == 5);
    CHECK(world.number("tempest_failed_messages_waiting") == 0);
    CHECK(world.number("tempest_failed_bytes_waiting") == 0);
  }
  SECTION("or go with it, if it is lost") {
    source.leave(world.now);
    world.run();
    CHECK(world.number("tempest_failed_messages_waiting") == 0);
    CHECK(world.number("tempest_failed_bytes_waiting") == 0);
  }
}

TEST_CASE("a source that states no limit is told of everything") {
  World world(kTwoTasks);
  Peer& source = world.add_source("s");
  Peer& worker = world.add_worker("w");
  world.send(source, std::vector<std::string>(100, std::string(10'000, 'x')));
  while (!worker.deliveries.empty()) fail_all(world, worker);
  CHECK(source.failed.size() == 100);
}

TEST_CASE("while failed messages take up all that may wait, tasks that make more get nothing") {
  PipelineSettings settings;
  settings.queue_limits.bytes = 25'000;
  World world(kTwoTasks, settings);
  Peer& source = add_source(world, "s", 1);
  Peer& worker = world.add_worker("w", 1);
  world.send(source, std::vector<std::string>(6, std::string(10'000, 'x')));
  int rounds = 0;
  for (; rounds < 20 && !worker.deliveries.empty(); ++rounds) fail_all(world, worker);
  // One was told of; then three wait, and the others stay what they are.
  CHECK(source.failed.size() == 1);
  CHECK(rounds == 4);
  CHECK(world.number("tempest_failed_bytes_waiting") == 30'000);
  source.send(wire::Window{0, 1'000'000}, world.now);
  world.run();
  for (; rounds < 20 && !worker.deliveries.empty(); ++rounds) fail_all(world, worker);
  CHECK(source.failed.size() == 6);
}
