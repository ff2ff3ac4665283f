#include <catch2/catch.hpp>

#include "runs.hpp"

using namespace tempest;

namespace {

void require_promises(std::uint64_t first, std::uint64_t count) {
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    const sim::Outcome outcome = sim::run_seed(seed);
    INFO("replay: " << sim::replay_command(seed));
    REQUIRE(outcome.violation == "");
  }
}

}  // namespace

TEST_CASE("deployments with faults keep every promise: seeds 1 to 100") {
  require_promises(1, 100);
}

TEST_CASE("deployments with faults keep every promise: seeds 101 to 200") {
  require_promises(101, 100);
}

TEST_CASE("two runs of a seed are the same to the last frame") {
  for (std::uint64_t seed = 1000; seed < 1020; ++seed) {
    const sim::Outcome first = sim::run_seed(seed);
    const sim::Outcome second = sim::run_seed(seed);
    INFO("seed " << seed);
    CHECK(first.trace_hash == second.trace_hash);
    CHECK(first.counts.steps == second.counts.steps);
  }
}

TEST_CASE("seeds differ") {
  CHECK(sim::run_seed(1).trace_hash != sim::run_seed(2).trace_hash);
}
