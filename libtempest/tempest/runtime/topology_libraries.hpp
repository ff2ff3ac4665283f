#pragma once

#include <string>
#include <vector>

#include "tempest/runtime/task_libraries.hpp"
#include "tempest/runtime/topology_file.hpp"

namespace tempest::runtime {

/// Loads the libraries that a topology's file names (besides those loaded already) and looks up
/// each task, source and sink it uses. What is not there is reported at the place of its name, a
/// `config` table at odds with what its class declares at the place of the key, and an edge by an
/// output that its task does not declare at the edge's; the
/// diagnostics are left in the order of their places. Libraries without a folder are looked for
/// beside the file first, then along `search_path`.
void check_libraries(const TopologyReferences& references, const std::string& file,
                     const std::vector<std::string>& search_path, TaskLibraries& libraries,
                     std::vector<Diagnostic>& diagnostics);

/// Where libraries come from, besides what a topology says.
struct LibraryPlaces {
  std::vector<std::string> files;    ///< All of these are loaded.
  std::vector<std::string> folders;  ///< Where they, and the topology's, are looked for.
};

/// Loads `places.files`, and of those that a topology names (`named`) each that one of `parts`
/// ("library:Name"; others do no harm) needs and that is not there yet. Errors: `configuration`.
Result<void> load_used_libraries(const LibraryPlaces& places, const std::vector<std::string>& named,
                                 const std::vector<std::string>& parts, TaskLibraries& libraries);

}  // namespace tempest::runtime
