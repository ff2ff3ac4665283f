#pragma once

#include <map>
#include <string>

#include "stats_node/aggregate.hpp"

namespace tempest::stats_node {

/// The aggregate as one line of JSON; docs/stats.md says what stands in it. `time`: RFC 3339.
std::string to_json(const std::map<std::string, Aggregate>& topologies, const std::string& time);

}  // namespace tempest::stats_node
