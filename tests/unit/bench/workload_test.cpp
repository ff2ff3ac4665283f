#include "bench/workload.hpp"

#include <catch2/catch.hpp>

#include "tempest/runtime/topology_file.hpp"

using namespace tempest::bench;

namespace {

tempest::Topology topology_of(const Settings& settings) {
  std::vector<tempest::runtime::Diagnostic> diagnostics;
  auto topology =
      tempest::runtime::parse_topology(topology_text(settings), "Topology.toml", diagnostics);
  INFO(tempest::runtime::joined(diagnostics));
  REQUIRE(topology);
  return std::move(*topology);
}

}  // namespace

TEST_CASE("every workload that is listed is a valid topology with the tasks it says") {
  for (const Workload& workload : workloads()) {
    INFO(workload.name);
    Settings settings;
    settings.workload = workload.name;
    settings.redis = "redis://127.0.0.1:6379/0";
    settings.library = "libbench_tasks.so";
    const tempest::Topology topology = topology_of(settings);
    const auto tasks = tasks_of(settings);
    REQUIRE(topology.tasks.size() == tasks.size());
    for (std::size_t i = 0; i < tasks.size(); ++i) CHECK(topology.tasks[i].name == tasks[i].name);
  }
}

TEST_CASE("a chain is as deep as is asked for, and ends in a task that drops") {
  Settings settings;
  settings.workload = "chain";
  settings.depth = 8;
  const tempest::Topology topology = topology_of(settings);
  REQUIRE(topology.tasks.size() == 8);
  CHECK(topology.tasks.back().uses == "drop");
  CHECK(topology.tasks.back().after.front().task == topology.tasks[6].name);
}

TEST_CASE("as many messages may be in flight as is asked for, whatever their size") {
  Settings settings;
  settings.workload = "relay";
  settings.in_flight = 1'000'000;
  settings.size_bytes = 1'000;
  const tempest::Topology topology = topology_of(settings);
  CHECK(topology.source.max_pending == 1'000'000);
  CHECK(topology.source.max_pending_bytes >= 1'000'000'000);
}
