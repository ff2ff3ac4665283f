#include "task_node/untaken_outputs.hpp"

#include <catch2/catch.hpp>

#include "worker_world.hpp"

using namespace tempest;
using namespace tempest::task_node;

TEST_CASE("an output that nobody takes is warned of once, counted, and shown in the state") {
  World world(1);
  FakeCoordinator& coordinator = world.serve();
  for (std::uint32_t i = 0; i < 3; ++i) {
    coordinator.deliver(messages(1, 0, i), world.now);
    world.settle();
    REQUIRE(world.running.size() == 1);
    world.running[0]->untaken.push_back({TaskId{0}, "error", 40});
    world.finish(0);
    world.settle();
  }
  CHECK(world.warnings ==
        std::vector<std::string>{"task split emits an output \"error\" that no edge takes: these "
                                 "messages end there, and count as done; take them with after = "
                                 "[\"split:error\"]"});
  CHECK(world.number("tempest_task_outputs_untaken_total", "error") == 120);
  CHECK(world.broker.registration.state == "running; nobody takes split:error (100 and more)");
}

TEST_CASE("what has no name is told as that, and names without end are counted together") {
  std::vector<UntakenOutput> untaken;
  for (int i = 0; i < 1000; ++i) note_untaken(untaken, TaskId{0}, "name " + std::to_string(i));
  CHECK(untaken.size() < 20);
  CHECK(untaken.back().output == "*");

  UntakenOutputs counts;
  link::Effects effects;
  CHECK(counts.shown().empty());
  CHECK(counts.add("split", {TaskId{0}, "", 1}, effects));
  REQUIRE(effects.notices.size() == 1);
  CHECK(
      effects.notices[0].text ==
      "task split emits messages without a name that no edge takes: these messages end there, and "
      "count as done; take them with after = [\"split\"]");
  CHECK(counts.shown() == "nobody takes split (1)");
  CHECK(counts.add("split", {TaskId{0}, "", 8}, effects) == false);
  CHECK(counts.add("split", {TaskId{0}, "", 1}, effects));
  CHECK(counts.shown() == "nobody takes split (10 and more)");
  for (int i = 0; i < 1000; ++i) {
    counts.add("split", {TaskId{0}, "name " + std::to_string(i), 1}, effects);
  }
  CHECK(effects.notices.size() == UntakenOutputs::kMostPairs + 1);
  CHECK(counts.shown().ends_with(", and " + std::to_string(UntakenOutputs::kMostPairs + 1 - 4) +
                                 " more"));
}
