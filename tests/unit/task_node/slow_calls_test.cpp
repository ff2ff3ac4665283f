// Calls that take uncommonly long: they hold up nothing else, and are given up when their time is
// over.

#include <catch2/catch.hpp>

#include "worker_world.hpp"

using namespace tempest;
using namespace tempest::task_node;
using Status = wire::Results::Status;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

/// A worker with quick calls, so that its batches are large.
struct QuickWorld : World {
  explicit QuickWorld(std::size_t threads, Duration timeout = seconds(2)) : World(threads) {
    served[0].timeout = timeout;
    served[0].message_timeout = seconds(30);
    coordinator = &serve();
    coordinator->deliver(messages(2, 0, 1'000), now);
    finish_all(microseconds(1));
    coordinator->results.clear();
  }

  void deliver(std::uint32_t count, std::uint32_t first = 0) {
    coordinator->deliver(messages(count, 0, first), now);
    settle();
  }
  std::size_t count(Status status) const { return coordinator->count(status); }
  Status status(std::uint32_t slot) { return coordinator->results.at(slot).back().status; }

  FakeCoordinator* coordinator = nullptr;
};

}  // namespace

TEST_CASE(
    "what stands before a slow call is reported, what stands behind it goes to another thread") {
  QuickWorld world(2);
  world.deliver(80);
  REQUIRE(world.running.size() == 2);
  Execution& stuck = *world.at_thread(0);
  const std::size_t batch = stuck.deliveries.size();
  REQUIRE(batch > 20);
  for (std::size_t i = 0; i < world.running.size(); ++i) {
    if (world.running[i]->thread == 1) world.finish(i);
  }
  world.settle();
  world.begin(0, 10);
  world.advance(milliseconds(30));
  // Nine are done, the tenth is at work; the rest is the other thread's by now.
  CHECK(world.count(Status::done) == 80 - batch + 9);
  REQUIRE(world.at_thread(1) != nullptr);
  while (world.at_thread(1) != nullptr) {
    for (std::size_t i = 0; i < world.running.size(); ++i) {
      if (world.running[i]->thread == 1) world.finish(i);
    }
    world.settle();
  }
  CHECK(world.count(Status::done) == 79);
  world.finish(0);
  world.settle();
  CHECK(world.count(Status::done) == 80);
  CHECK(world.coordinator->results.size() == 80);
}

TEST_CASE("a call that exceeds its task's timeout is given up, and its thread replaced") {
  QuickWorld world(1);
  world.deliver(10);
  world.begin(0, 3);
  world.advance(milliseconds(1'900));
  CHECK(world.count(Status::done) == 2);
  CHECK(world.replaced.empty());
  world.advance(milliseconds(200));
  CHECK(world.count(Status::timed_out) == 1);
  CHECK(world.coordinator->results[2][0].reason == "the call has not ended within 2s");
  CHECK(world.coordinator->results[2][0].handled_us >= 2'000'000);
  CHECK(world.replaced == std::vector<std::size_t>{0});
  CHECK(world.number("tempest_handler_threads_replaced_total") == 1);
  CHECK(world.number("tempest_handlers_hung") == 1);
  // The thread in its place does what is left of what had not gone back meanwhile.
  world.deliver(5, 100);
  auto hung = std::move(world.running.front());
  world.running.erase(world.running.begin());
  world.finish_all();
  CHECK(world.status(104) == Status::done);
  // The old one comes back: its result is late, and counts for nothing.
  const std::size_t answers = world.coordinator->results[2].size();
  world.running.push_back(std::move(hung));
  world.finish(world.running.size() - 1);
  world.settle();
  CHECK(world.coordinator->results[2].size() == answers);
  CHECK(world.number("tempest_handlers_hung") == 0);
}

TEST_CASE("what waits behind a worker's only thread in a long call goes back to its coordinator") {
  QuickWorld world(1, seconds(60));
  world.deliver(10);
  world.begin(0, 1);
  world.advance(milliseconds(200));
  CHECK(world.count(Status::returned) == 8);
  world.advance(milliseconds(600));
  CHECK(world.count(Status::returned) == 9);
  CHECK(world.coordinator->windows.back().messages == 1);
  world.finish(0, milliseconds(800));
  world.settle();
  CHECK(world.status(0) == Status::done);
}

TEST_CASE("deliveries of a slow task do not pile up at a worker before it is known to be slow") {
  World world(2);
  FakeCoordinator& coordinator = world.serve();
  CHECK(coordinator.windows.back().messages == 8);
  coordinator.deliver(messages(8), world.now);
  world.settle();
  REQUIRE(world.running.size() == 2);
  world.advance(milliseconds(150));
  CHECK(coordinator.windows.back().messages == 2);
  CHECK(coordinator.count(Status::returned) == 4);
  // One for each thread stays, until it has waited for long.
  world.advance(milliseconds(500));
  CHECK(coordinator.count(Status::returned) == 6);
}

TEST_CASE("keys wait behind their thread's slow call, and stay in order") {
  QuickWorld world(1, seconds(1));
  world.coordinator->deliver({{0, 1, "a", "key"}, {1, 1, "b", "key"}}, world.now);
  world.settle();
  world.finish_all(microseconds(1));
  world.coordinator->deliver({{2, 1, "c", "key"}, {3, 1, "d", "key"}, {4, 1, "e", "key"}},
                             world.now);
  world.settle();
  REQUIRE(world.running.front()->deliveries.size() == 3);
  world.begin(0, 2);
  world.advance(seconds(20));
  CHECK(world.status(2) == Status::done);
  CHECK(world.coordinator->results.count(3) == 0);
  world.finish(0);
  world.settle();
  CHECK(world.status(3) == Status::done);
  REQUIRE(world.running.size() == 1);
  CHECK(world.running[0]->deliveries[0].item->id.slot == 4);
}

TEST_CASE("of a batch call that takes too long nobody is blamed before each has run by itself") {
  World world(1);
  world.served = {{TaskId{0}, "batches", false, 100, seconds(2)}};
  FakeCoordinator& coordinator = world.serve();
  coordinator.deliver(messages(50), world.now);
  world.settle();
  REQUIRE(world.running.size() == 1);
  world.running[0]->outcomes.resize(50);
  REQUIRE(world.running[0]->claim(50));
  world.advance(milliseconds(2'100));
  CHECK(coordinator.count(Status::timed_out) == 0);
  CHECK(world.replaced == std::vector<std::size_t>{0});
  std::vector<std::unique_ptr<Execution>> hung;
  hung.push_back(std::move(world.running.front()));
  world.running.erase(world.running.begin());
  REQUIRE(world.running.size() == 1);
  for (int i = 0; i < 50; ++i) {
    CHECK(world.running[0]->deliveries.size() == 1);
    if (world.running[0]->deliveries[0].item->id.slot == 7) {
      REQUIRE(world.running[0]->claim(1));
      auto culprit = std::move(world.running[0]);
      world.running.clear();
      world.advance(milliseconds(2'100));
      hung.push_back(std::move(culprit));
    } else {
      world.finish(0);
      world.settle();
    }
  }
  CHECK(coordinator.count(Status::done) == 49);
  CHECK(coordinator.count(Status::timed_out) == 1);
  CHECK(coordinator.results[7][0].status == Status::timed_out);
}

TEST_CASE("a sink that does not answer is away, which is no fault of a message") {
  World world(1);
  world.served = {{TaskId{0}, "out", false, 100, seconds(2), Duration{0}, true}};
  FakeCoordinator& coordinator = world.serve();
  coordinator.deliver(messages(5), world.now);
  world.settle();
  world.running[0]->outcomes.resize(5);
  REQUIRE(world.running[0]->claim(5));
  world.advance(milliseconds(2'100));
  CHECK(coordinator.count(Status::unavailable) == 5);
  CHECK(coordinator.results[0][0].reason == "the sink has not answered within 2s");
}

TEST_CASE("a call that exceeds its message's timeout says so, whatever more it has asked for") {
  QuickWorld world(1, seconds(1));
  world.deliver(1);
  world.begin(0, 1);
  const Assigned assigned = world.running[0]->deliveries[0];
  world.machine.extend({assigned.item->id, assigned.lot, std::chrono::hours(1)}, world.now);
  world.advance(seconds(29));
  CHECK(world.count(Status::tree_timed_out) == 0);
  world.advance(milliseconds(1'100));
  CHECK(world.status(0) == Status::tree_timed_out);
}

TEST_CASE("a call that asks for more time has it, and is given up when that is over") {
  QuickWorld world(1, seconds(1));
  world.deliver(1);
  world.begin(0, 1);
  world.advance(milliseconds(900));
  const Assigned assigned = world.running[0]->deliveries[0];
  world.machine.extend({assigned.item->id, assigned.lot, seconds(5)}, world.now);
  world.advance(milliseconds(4'900));
  CHECK(world.count(Status::timed_out) == 0);
  world.advance(milliseconds(200));
  CHECK(world.count(Status::timed_out) == 1);
  CHECK(world.coordinator->results[0].back().reason ==
        "the call has not ended within 1s and the more it asked for");
}

TEST_CASE("time in which the process was stopped is not time in which a task worked") {
  QuickWorld world(1, seconds(2));
  world.deliver(1);
  world.begin(0, 1);
  world.advance(milliseconds(500));
  world.now += milliseconds(2'500);  // Less than the lease, more than the timeout.
  world.settle();
  world.advance(milliseconds(500));
  CHECK(world.count(Status::timed_out) == 0);
  CHECK(world.count(Status::tree_timed_out) == 0);
  world.advance(milliseconds(1'000));
  CHECK(world.count(Status::timed_out) == 1);
}

TEST_CASE("a call of a few milliseconds or more is measured for its coordinator") {
  QuickWorld world(1, seconds(20));
  world.deliver(1);
  world.begin(0, 1);
  world.advance(milliseconds(120));
  world.finish(0);
  world.settle();
  CHECK(world.coordinator->results[0][0].handled_us >= 110'000);
  CHECK(world.coordinator->results[0][0].handled_us <= 130'000);
}

TEST_CASE("with too many threads that hang no more are put in their place, until one comes back") {
  QuickWorld world(1, milliseconds(100));
  std::vector<std::unique_ptr<Execution>> hung;
  for (std::uint32_t i = 0; i < 17; ++i) {
    world.deliver(1, i);
    REQUIRE(world.running.size() == 1);
    world.begin(0, 1);
    world.advance(milliseconds(200));
    hung.push_back(std::move(world.running[0]));
    world.running.clear();
  }
  CHECK(world.replaced.size() == 16);
  CHECK(world.errors.size() == 1);
  world.deliver(1, 50);
  CHECK(world.running.empty());
  CHECK(world.coordinator->windows.back().messages == 1);
  world.running.push_back(std::move(hung.back()));
  world.finish(0);
  world.advance(milliseconds(10));
  REQUIRE(world.running.size() == 1);
  world.finish(0);
  world.settle();
  CHECK(world.status(50) == Status::done);
}
