#include "cli/checked_topology.hpp"

#include <iostream>

#include "tempest/runtime/exit_code.hpp"
#include "tempest/runtime/topology_libraries.hpp"

namespace tempest::cli {

std::optional<Topology> load_checked_topology(const std::string& file,
                                              const runtime::LibraryPlaces& places,
                                              int& exit_code) {
  std::vector<runtime::Diagnostic> diagnostics;
  runtime::TopologyReferences references;
  auto topology = runtime::load_topology(file, diagnostics, &references);

  runtime::TaskLibraries libraries;
  for (const std::string& library : places.files) {
    if (const auto loaded = libraries.load(library, places.folders); !loaded) {
      diagnostics.push_back({"--library", 0, 0, loaded.error().message});
    }
  }
  runtime::check_libraries(references, file, places.folders, libraries, diagnostics);
  if (diagnostics.empty() && topology) return topology;

  exit_code = report_diagnostics(diagnostics, file);
  return std::nullopt;
}

int report_diagnostics(const std::vector<runtime::Diagnostic>& diagnostics,
                       const std::string& file) {
  for (const runtime::Diagnostic& diagnostic : diagnostics) {
    std::cerr << diagnostic.text() << "\n";
  }
  const bool is_unreadable =
      diagnostics.size() == 1 && diagnostics.front().line == 0 && diagnostics.front().file == file;
  return is_unreadable ? runtime::kExitInputOutput : runtime::kExitConfiguration;
}

}  // namespace tempest::cli
