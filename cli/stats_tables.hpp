#pragma once

#include <iosfwd>
#include <string>

namespace tempest::cli {

/// Prints what a stats node publishes, for people: a table of topologies and one of tasks. False,
/// and nothing is printed: it is not what a stats node publishes.
bool print_stats_tables(const std::string& aggregate, std::ostream& out);

}  // namespace tempest::cli
