#include <catch2/catch.hpp>

#include "worker_world.hpp"

using namespace tempest;
using namespace tempest::task_node;
using Status = wire::Results::Status;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

TEST_CASE("deliveries are handled, and their results go to the coordinator they came from") {
  World world;
  FakeCoordinator& first = world.serve();
  FakeCoordinator& second = world.add_coordinator("other", 21, "tcp://b");
  world.settle();
  first.deliver(messages(3), world.now);
  second.deliver(messages(3, 0, 100), world.now);
  world.settle();
  while (!world.running.empty()) {
    world.finish(0, microseconds(10), "out");
    world.settle();
  }
  REQUIRE(first.results.size() == 3);
  REQUIRE(second.results.size() == 3);
  for (const std::uint32_t slot : {0U, 1U, 2U}) {
    REQUIRE(first.results[slot].size() == 1);
    CHECK(first.results[slot][0].status == Status::done);
    CHECK(first.results[slot][0].outputs == std::vector<std::string>{"out"});
    CHECK(second.results.contains(100 + slot));
  }
  CHECK(world.number("tempest_task_handled_total", "split") == 6);
}

TEST_CASE("what was fused is counted for its task, here and at the coordinator") {
  World world(1);
  FakeCoordinator& coordinator = world.serve();
  coordinator.deliver(messages(1), world.now);
  world.settle();
  REQUIRE(world.running.size() == 1);
  Execution& execution = *world.running[0];
  execution.fused.push_back({TaskId{1}, {5, 1, 0}, 3, 2, 4, {}});
  world.finish(0);
  world.settle();
  CHECK(world.number("tempest_task_fused_total", "count") == 6);
  CHECK(world.number("tempest_task_fused_total", "split") == 0);
  CHECK(world.number("tempest_task_outputs_dropped_total", "count") == 4);
  REQUIRE(coordinator.fused.size() == 1);
  CHECK(coordinator.fused[0].task == TaskId{1});
  CHECK(coordinator.fused[0].acknowledged == 5);
  CHECK(coordinator.fused[0].outputs == 3);
  CHECK(coordinator.fused[0].outputs_dropped == 2);
}

TEST_CASE("what is finished in one turn goes out in one frame") {
  World world(8);
  FakeCoordinator& coordinator = world.serve();
  coordinator.deliver(messages(8), world.now);
  world.settle();
  REQUIRE(world.running.size() == 8);
  while (!world.running.empty()) world.finish(0);
  world.settle();
  CHECK(coordinator.results.size() == 8);
  CHECK(coordinator.result_frames == 1);
}

TEST_CASE("results of more than a frame's worth go out in several") {
  World world(4);
  FakeCoordinator& coordinator = world.serve();
  coordinator.deliver(messages(4), world.now);
  world.settle();
  REQUIRE(world.running.size() == 4);
  while (!world.running.empty()) world.finish(0, milliseconds(1), std::string(200'000, 'x'));
  world.settle();
  CHECK(coordinator.results.size() == 4);
  CHECK(coordinator.result_frames == 2);
  CHECK(coordinator.results[3][0].outputs[0].size() == 200'000);
}

TEST_CASE("a task's wish for more time goes to its coordinator while it runs") {
  World world;
  FakeCoordinator& first = world.serve();
  world.settle();
  first.deliver(messages(1), world.now);
  world.settle();
  REQUIRE(world.running.size() == 1);
  const Assigned assigned = world.running[0]->deliveries[0];
  world.machine.extend({assigned.item->id, assigned.lot, seconds(30)}, world.now);
  world.settle();
  REQUIRE(first.results[0].size() == 1);
  CHECK(first.results[0][0].status == Status::extended);
  CHECK(first.results[0][0].time_ms == 30'000);
  CHECK(world.number("tempest_task_handled_total", "split") == 0);
  world.finish(0);
  world.settle();
  REQUIRE(first.results[0].size() == 2);
  CHECK(first.results[0][1].status == Status::done);
}

TEST_CASE("a wish for a coordinator that is gone goes nowhere") {
  World world;
  FakeCoordinator& first = world.serve();
  world.settle();
  first.deliver(messages(1), world.now);
  world.settle();
  REQUIRE(world.running.size() == 1);
  const Assigned assigned = world.running[0]->deliveries[0];
  first.cut_off = true;
  world.advance(seconds(10));
  first.cut_off = false;
  world.advance(seconds(10));
  world.machine.extend({assigned.item->id, assigned.lot, seconds(30)}, world.now);
  world.settle();
  CHECK(first.results.empty());
}

TEST_CASE("the payload that a thread sees is the one that was sent") {
  World world;
  FakeCoordinator& coordinator = world.serve();
  coordinator.deliver({{5, 0, "the payload", "the key"}}, world.now);
  world.settle();
  REQUIRE(world.running.size() == 1);
  const Assigned& assigned = world.running[0]->deliveries.at(0);
  CHECK(assigned.item->id.slot == 5);
  CHECK(assigned.parts->payload == "the payload");
  CHECK(assigned.parts->key == "the key");
}

TEST_CASE("a key stays with one thread, and keys are spread over all") {
  World world(4);
  FakeCoordinator& coordinator = world.serve();
  std::map<std::string, std::set<std::size_t>> threads_of;
  std::uint32_t slot = 0;
  for (int round = 0; round < 20; ++round) {
    std::vector<Sent> sent;
    for (int i = 0; i < 40; ++i) {
      const int key = (i * 7 + round * 13) % 40;  // Each time at another place in the frame.
      sent.push_back({slot++, 1, "x", "key " + std::to_string(key)});
    }
    coordinator.deliver(sent, world.now);
    world.settle();
    while (!world.running.empty()) {
      const std::size_t pick = slot % world.running.size();
      for (const Assigned& assigned : world.running[pick]->deliveries) {
        const std::string key(assigned.parts->key);
        threads_of[key].insert(world.running[pick]->thread);
      }
      world.finish(pick);
      world.settle();
    }
  }
  std::set<std::size_t> all;
  CHECK(threads_of.size() == 40);
  for (const auto& [key, threads] : threads_of) {
    CHECK(threads.size() == 1);
    all.insert(threads.begin(), threads.end());
  }
  CHECK(all.size() == 4);
}

TEST_CASE("messages without a key are grouped by their payload") {
  World world(4);
  FakeCoordinator& coordinator = world.serve();
  std::set<std::size_t> threads;
  for (std::uint32_t i = 0; i < 10; ++i) {
    coordinator.deliver({{i, 1, "always the same", {}}}, world.now);
    world.settle();
    REQUIRE(world.running.size() == 1);
    threads.insert(world.running[0]->thread);
    world.finish(0);
  }
  CHECK(threads.size() == 1);
}

TEST_CASE("deliveries of one key are handled in their order") {
  World world(2);
  FakeCoordinator& coordinator = world.serve();
  std::vector<std::uint32_t> order;
  for (std::uint32_t i = 0; i < 100; ++i) {
    coordinator.deliver({{i, 1, "x", "key"}}, world.now);
    world.settle();
    if (i % 3 != 0 || world.running.empty()) continue;
    for (const Assigned& assigned : world.running[0]->deliveries) {
      order.push_back(assigned.item->id.slot);
    }
    world.finish(0, microseconds(1));
  }
  world.settle();
  while (!world.running.empty()) {
    for (const Assigned& assigned : world.running[0]->deliveries) {
      order.push_back(assigned.item->id.slot);
    }
    world.finish(0, microseconds(1));
    world.settle();
  }
  REQUIRE(order.size() == 100);
  CHECK(std::is_sorted(order.begin(), order.end()));
}

TEST_CASE("shuffled deliveries are shared out over the threads") {
  World world(4);
  FakeCoordinator& coordinator = world.serve();
  coordinator.deliver(messages(400), world.now);
  const auto shares = world.finish_all(milliseconds(10));
  REQUIRE(shares.size() == 4);
  for (const auto& [thread, share] : shares) {
    CHECK(share >= 90);
    CHECK(share <= 110);
  }
}

TEST_CASE("batches grow with quick tasks and shrink with slow ones") {
  World world(1);
  FakeCoordinator& coordinator = world.serve();
  coordinator.deliver(messages(100), world.now);
  world.finish_all(microseconds(2));
  coordinator.deliver(messages(1000, 0, 1000), world.now);
  world.settle();
  REQUIRE_FALSE(world.running.empty());
  CHECK(world.running[0]->deliveries.size() == 256);
  CHECK(world.running.size() == 2);  // One running, one waiting behind it.
  world.finish_all(milliseconds(5));
  coordinator.deliver(messages(100, 0, 5000), world.now);
  world.settle();
  REQUIRE(world.running.size() == 1);  // Nothing waits behind a slow one.
  CHECK(world.running[0]->deliveries.size() == 1);
}

TEST_CASE("a task that takes batches gets what waits, up to its own most") {
  World world(1);
  world.served = {{TaskId{0}, "out", false, 500}};
  FakeCoordinator& coordinator = world.serve();
  coordinator.deliver(messages(300), world.now);
  world.settle();
  REQUIRE(world.running.size() == 1);
  CHECK(world.running[0]->deliveries.size() == 300);
  coordinator.deliver(messages(700, 0, 1000), world.now);
  world.settle();
  REQUIRE(world.running.size() == 2);
  CHECK(world.running[1]->deliveries.size() == 500);
  world.finish_all();
  CHECK(coordinator.results.size() == 1000);
}

TEST_CASE("a quick task's window grows, a slow one's shrinks, and small changes are not told") {
  World world(2);
  FakeCoordinator& coordinator = world.serve();
  REQUIRE(coordinator.windows.back().messages == 8);
  const auto work = [&](Duration each) {
    for (int i = 0; i < 20; ++i) {
      coordinator.deliver(messages(1000), world.now);
      world.finish_all(each);
      world.advance(milliseconds(20));
    }
  };
  work(microseconds(1));
  CHECK(coordinator.windows.back().messages == 16'384);
  work(milliseconds(1));
  CHECK(coordinator.windows.back().messages >= 150);
  CHECK(coordinator.windows.back().messages <= 250);
  const std::size_t told = coordinator.windows.size();
  work(microseconds(1050));
  CHECK(coordinator.windows.size() <= told + 1);
  work(seconds(1));
  CHECK(coordinator.windows.back().messages == 4);
}

TEST_CASE("the quicker a task, the larger the batch that is worth waking its worker for") {
  World world(2);
  FakeCoordinator& coordinator = world.serve();
  CHECK(coordinator.windows.back().batch == 1);
  // What is told is true to a quarter.
  const auto batch_is_about = [&](std::uint64_t expected, Duration each) {
    for (int i = 0; i < 60; ++i) {
      coordinator.deliver(messages(1000), world.now);
      world.finish_all(each);
      world.advance(milliseconds(20));
    }
    const std::uint64_t batch = coordinator.windows.back().batch;
    INFO("batch: " << batch);
    return batch * 4 >= expected * 3 && batch * 4 <= expected * 5 + 4;
  };
  // Two threads.
  CHECK(batch_is_about(1024, microseconds(2)));
  CHECK(batch_is_about(256, microseconds(6)));
  CHECK(batch_is_about(16, microseconds(24)));
  CHECK(batch_is_about(1, microseconds(200)));
}

TEST_CASE("deliveries of a coordinator that is lost are dropped, with their late results") {
  World world(1);
  FakeCoordinator& coordinator = world.serve();
  // Grouped by key, since what is not goes back by itself.
  coordinator.deliver(messages(10, 1), world.now);
  world.settle();
  REQUIRE(world.running.size() == 1);
  CHECK(world.number("tempest_task_queued", "count") == 9);
  coordinator.cut_off = true;
  world.advance(seconds(4));
  CHECK(world.number("tempest_task_queued", "count") == 0);
  CHECK(world.number("tempest_deliveries_dropped_total") == 9);

  // It is back, with a new session, before the late result.
  coordinator.cut_off = false;
  world.advance(seconds(1));
  REQUIRE(coordinator.attached_version == "v1");
  world.finish(0);
  world.settle();
  CHECK(coordinator.results.empty());
  CHECK(world.number("tempest_results_dropped_total") == 1);

  coordinator.deliver(messages(3, 0, 50), world.now);
  world.finish_all();
  CHECK(coordinator.results.size() == 3);
}

TEST_CASE("only the lost coordinator's deliveries are dropped") {
  World world(1);
  FakeCoordinator& first = world.serve();
  FakeCoordinator& second = world.add_coordinator("other", 21, "tcp://b");
  world.settle();
  first.deliver(messages(10), world.now);
  second.deliver(messages(10, 0, 100), world.now);
  world.settle();
  first.cut_off = true;
  world.advance(seconds(4));
  world.finish_all();
  CHECK(second.results.size() == 10);
}

TEST_CASE("a body that cannot be read ends its session, and the worker attaches again") {
  World world;
  FakeCoordinator& coordinator = world.serve();
  std::string broken;
  wire::begin_data(wire::BodyKind::deliveries, broken);
  broken += "\xc1 this is no msgpack";
  SECTION("what is no msgpack") {
    coordinator.send_raw(wire::BodyKind::deliveries, broken, world.now);
  }
  SECTION("what is not for a worker") {
    coordinator.send(wire::Window{1, 1}, world.now);
  }
  world.settle();
  CHECK(world.number("tempest_malformed_bodies_total") == 1);
  CHECK(coordinator.lost == std::vector<std::string>{"reset"});
  CHECK_FALSE(coordinator.worker);
  // Not at once: whatever made it malformed may do so again.
  world.advance(seconds(2));
  REQUIRE(coordinator.worker);
  coordinator.deliver(messages(2), world.now);
  world.finish_all();
  CHECK(coordinator.results.size() == 2);
}

TEST_CASE("deliveries of a task that is not served are refused, the others handled") {
  World world;
  FakeCoordinator& coordinator = world.serve();
  coordinator.deliver({{1, 0, "x", {}}, {2, 77, "x", {}}, {3, 0, "x", {}}}, world.now);
  world.finish_all();
  REQUIRE(coordinator.results.size() == 3);
  CHECK(coordinator.results[1][0].status == Status::done);
  CHECK(coordinator.results[2][0].status == Status::retry);
  CHECK(coordinator.results[2][0].reason == "this worker does not serve task number 77");
  CHECK(coordinator.results[3][0].status == Status::done);
}
