#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tempest/runtime/topology_file.hpp"
#include "tempest/topology.hpp"

namespace tempest::cli {

/// Where tasks come from besides what a topology's file says.
struct LibraryOptions {
  std::vector<std::string> files;
  std::vector<std::string> search_path;
};

/// Loads a topology and looks up every library and task it names. What is wrong is printed on
/// standard error, a line each; then there is no topology, and `exit_code` says how to end.
std::optional<Topology> load_checked_topology(const std::string& file,
                                              const LibraryOptions& libraries, int& exit_code);

/// Prints what is wrong with a topology's file on standard error, a line each; how to end with it.
int report_diagnostics(const std::vector<runtime::Diagnostic>& diagnostics,
                       const std::string& file);

/// True for sources that come to an end by themselves: a run ends with them.
bool ends_by_itself(const SourceDefinition& source);

}  // namespace tempest::cli
