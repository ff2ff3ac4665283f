#pragma once

#include <string>

#include "stats_node/stats_machine.hpp"

namespace tempest::stats_node {

/// Every live node's numbers in Prometheus's text format, each with the labels topology, node and
/// role beside its own.
std::string metrics_text(const StatsMachine& machine, const std::string& version, TimePoint now);

}  // namespace tempest::stats_node
