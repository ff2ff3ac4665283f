#pragma once

#include <cstdint>
#include <ostream>
#include <string>

#include "world.hpp"

namespace tempest::sim {

/// One seed from its beginning to its end. The same seed gives the same outcome, trace included.
Outcome run_seed(std::uint64_t seed, std::ostream* trace_lines = nullptr);

/// The command that replays it.
std::string replay_command(std::uint64_t seed);

/// Adds what `from` has counted.
void add(const Outcome& from, Outcome& to);

}  // namespace tempest::sim
