#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "stats_node/aggregate.hpp"

namespace tempest::stats_node {

/// The aggregate as one line of JSON; docs/stats.md says what stands in it. `time`: RFC 3339.
/// `reports_refused`: StatsMachine::Counters::refused.
std::string to_json(const std::map<std::string, Aggregate>& topologies, const std::string& time,
                    std::uint64_t reports_refused);

}  // namespace tempest::stats_node
