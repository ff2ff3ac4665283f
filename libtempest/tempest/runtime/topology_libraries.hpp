#pragma once

#include <string>
#include <vector>

#include "tempest/runtime/task_libraries.hpp"
#include "tempest/runtime/topology_file.hpp"

namespace tempest::runtime {

/// Loads the libraries that a topology's file names (besides those loaded already) and looks up
/// each task it uses. What is not there is reported at the place of its name; the diagnostics are
/// left in the order of their places. Libraries without a folder are looked for beside the file
/// first, then along `search_path`.
void check_libraries(const TopologyReferences& references, const std::string& file,
                     const std::vector<std::string>& search_path, TaskLibraries& libraries,
                     std::vector<Diagnostic>& diagnostics);

}  // namespace tempest::runtime
