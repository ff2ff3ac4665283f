#pragma once

#include <string>
#include <utility>
#include <vector>

#include "bench/workload.hpp"
#include "tempest/base/result.hpp"

/// What nodes take while nothing moves.
namespace tempest::bench {

using NamedValues = std::vector<std::pair<std::string, double>>;

/// The share of a core, in percent, that each node takes with a source that finds nothing.
Result<NamedValues> measure_idle(const Settings& settings);

/// The memory of messages that are read and cannot be done: `in_flight` of them at each of
/// `sources`, and a task that does not come back. Of each kind of node, and of all together.
Result<NamedValues> measure_memory(const Settings& settings);

}  // namespace tempest::bench
