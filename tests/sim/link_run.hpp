#pragma once

#include <cstdint>
#include <ostream>

#include "world.hpp"

namespace tempest::sim {

/// Links alone, from one seed: some clients and a server, restarted, paused and cut off, over pipes
/// that lose, double, delay and reorder. What a whole deployment may get over without a trace (a
/// frame that counts twice, say) is found here: every body arrives once and in order, or its
/// session is lost, and that is told once at each end.
Outcome run_links(std::uint64_t seed, std::ostream* trace_lines);

}  // namespace tempest::sim
