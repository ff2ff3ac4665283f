#include <catch2/catch.hpp>

#include "task_node/handler.hpp"
#include "worker_world.hpp"

using namespace tempest;
using namespace tempest::task_node;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

constexpr std::uint64_t kWindowBytes = 16ULL << 20;

}  // namespace

TEST_CASE("coordinators share what a worker takes in bytes, and one alone has all of it") {
  World world;
  FakeCoordinator& first = world.serve();
  CHECK(first.windows.back().bytes == kWindowBytes);
  FakeCoordinator& second = world.add_coordinator("other", 21, "tcp://b");
  world.advance(seconds(1));
  CHECK(first.windows.back().bytes == kWindowBytes / 2);
  CHECK(second.windows.back().bytes == kWindowBytes / 2);
  FakeCoordinator& third = world.add_coordinator("third", 31, "tcp://c");
  world.advance(seconds(1));
  const std::uint64_t sum =
      first.windows.back().bytes + second.windows.back().bytes + third.windows.back().bytes;
  CHECK(sum <= kWindowBytes);
  CHECK(sum > kWindowBytes - 3);

  SECTION("again, once the others are gone") {
    second.cut_off = third.cut_off = true;
    world.unlist("other");
    world.unlist("third");
    world.broker.publish(world.now);
    world.advance(seconds(30));
    CHECK(first.windows.back().bytes == kWindowBytes);
  }
}

TEST_CASE("small deliveries that wait do not keep the large frames that they came in") {
  World world(1);
  FakeCoordinator& coordinator = world.serve();
  // One thread: what is large is done at once, and what is small waits for its key's turn.
  const std::string large(200'000, 'x');
  std::uint32_t slot = 0;
  for (int frame = 0; frame < 400; ++frame) {
    coordinator.deliver({{slot++, 0, large, {}}, {slot++, 1, "small", "key"}}, world.now);
    world.settle();
    for (std::size_t i = 0; i < world.running.size();) {
      if (world.running[i]->task == TaskId{0}) {
        world.finish(i);
        world.settle();
      } else {
        ++i;
      }
    }
  }
  CHECK(world.number("tempest_task_queued", "count") > 300);
  CHECK(world.number("tempest_deliveries_bytes") < 70e6);
  world.finish_all();
  CHECK(coordinator.results.size() == slot);
  CHECK(world.number("tempest_deliveries_bytes") == 0);
}

TEST_CASE("an execution that holds very large outputs goes no further, and the rest is run later") {
  World world(1);
  FakeCoordinator& coordinator = world.serve();
  // Learn that deliveries are quick, so that many are in one batch.
  coordinator.deliver(messages(400), world.now);
  world.finish_all(std::chrono::microseconds(1));
  coordinator.deliver(messages(200, 0, 1'000), world.now);
  world.settle();
  REQUIRE_FALSE(world.running.empty());
  auto execution = std::move(world.running.front());
  world.running.erase(world.running.begin());
  const std::size_t given = execution->deliveries.size();
  REQUIRE(given > 10);
  execution->started_at = world.now;
  execution->outcomes.resize(given);
  for (int i = 0; i < 3; ++i) REQUIRE(execution->claim(1));
  execution->handle_time = milliseconds(1);
  world.machine.completed(std::move(execution), world.now, world.effects);
  world.finish_all();
  for (std::uint32_t slot = 1'000; slot < 1'200; ++slot) {
    CHECK(coordinator.results[slot].size() == 1);
  }
}

TEST_CASE("a handler begins no other call of a batch once its outputs take 4 MiB") {
  struct Emitting : Task {
    Result<void> handle(const Message&, Context& context) override {
      context.emit(std::string(1 << 20, 'x'));
      return {};
    }
  };
  auto plan = std::make_shared<Plan>();
  plan->topology.tasks.resize(2);
  plan->topology.tasks[0].name = "first";
  plan->topology.tasks[1].name = "second";
  std::vector<dag::Fault> faults;
  plan->topology.graph =
      dag::Graph::build({{"first"}, {"second"}}, {{"first", "second", ""}}, faults);
  plan->tasks = {TaskId{0}};
  plan->create = [](const TaskDefinition&) -> Result<std::unique_ptr<Task>> {
    return std::unique_ptr<Task>(std::make_unique<Emitting>());
  };
  Handler handler;
  REQUIRE(handler.build(plan));
  Execution execution;
  const wire::Deliveries::Item item{DeliveryId{}, TaskId{0}, 1, 0, 1};
  const wire::Deliveries::Part part{kNoEdge, {}, "x"};
  for (int i = 0; i < 20; ++i) execution.deliveries.push_back({&item, &part, 0});
  handler.run(execution);
  CHECK(execution.begun() == 5);
  CHECK(execution.outputs.size() == 5);
}
