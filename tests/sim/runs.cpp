#include "runs.hpp"

#include "link_run.hpp"

namespace tempest::sim {

Outcome run_seed(std::uint64_t seed, std::ostream* trace_lines) {
  // Every eighth: they are quickly done, and find other things.
  if (seed % 8 == 0) return run_links(seed, trace_lines);
  return World(seed, trace_lines).run();
}

std::string replay_command(std::uint64_t seed) {
  return "scripts/sim --seed " + std::to_string(seed) + " --trace";
}

void add(const Outcome& from, Outcome& to) {
  const auto& counts = from.counts;
  to.counts.seeds += counts.seeds;
  to.counts.steps += counts.steps;
  to.counts.crashes += counts.crashes;
  to.counts.pauses += counts.pauses;
  to.counts.stops += counts.stops;
  to.counts.scalings += counts.scalings;
  to.counts.partitions += counts.partitions;
  to.counts.reconnects += counts.reconnects;
  to.counts.redis_faults += counts.redis_faults;
  to.counts.frames += counts.frames;
  to.counts.frames_lost += counts.frames_lost;
  to.counts.frames_doubled += counts.frames_doubled;
  to.counts.frames_replayed += counts.frames_replayed;
  to.counts.sightings += counts.sightings;
  to.counts.simulated_ms += counts.simulated_ms;
  to.ledger.messages += from.ledger.messages;
  to.ledger.executions += from.ledger.executions;
  to.ledger.duplicates += from.ledger.duplicates;
  to.ledger.acked += from.ledger.acked;
  to.ledger.dead_letters += from.ledger.dead_letters;
  to.ledger.left += from.ledger.left;
}

}  // namespace tempest::sim
