#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tempest/runtime/topology_file.hpp"
#include "tempest/runtime/topology_libraries.hpp"
#include "tempest/topology.hpp"

namespace tempest::cli {

/// Loads a topology and looks up every library, task, source and sink it names. What is wrong is
/// printed on standard error, a line each; then there is no topology, and `exit_code` says how to
/// end.
std::optional<Topology> load_checked_topology(const std::string& file,
                                              const runtime::LibraryPlaces& places, int& exit_code);

/// Prints what is wrong with a topology's file on standard error, a line each; how to end with it.
int report_diagnostics(const std::vector<runtime::Diagnostic>& diagnostics,
                       const std::string& file);

}  // namespace tempest::cli
