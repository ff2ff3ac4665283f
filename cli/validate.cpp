#include <algorithm>
#include <iostream>
#include <string>
#include <vector>

#include "cli/commands.hpp"
#include "tempest/runtime/command_line.hpp"
#include "tempest/runtime/exit_code.hpp"
#include "tempest/runtime/topology_file.hpp"
#include "tempest/runtime/topology_libraries.hpp"

namespace tempest::cli {
namespace {

using runtime::Diagnostic;

int validate(const std::string& file, const std::vector<std::string>& library_files,
             const std::vector<std::string>& search_path) {
  std::vector<Diagnostic> diagnostics;
  runtime::TopologyReferences references;
  const auto topology = runtime::load_topology(file, diagnostics, &references);

  runtime::TaskLibraries libraries;
  for (const std::string& library : library_files) {
    if (const auto loaded = libraries.load(library, search_path); !loaded) {
      diagnostics.push_back({"--library", 0, 0, loaded.error().message});
    }
  }
  runtime::check_libraries(references, file, search_path, libraries, diagnostics);

  for (const Diagnostic& diagnostic : diagnostics) std::cerr << diagnostic.text() << "\n";
  if (!diagnostics.empty() || !topology) {
    const bool is_unreadable = diagnostics.size() == 1 && diagnostics.front().line == 0 &&
                               diagnostics.front().file == file;
    return is_unreadable ? runtime::kExitInputOutput : runtime::kExitConfiguration;
  }
  const std::size_t edges = topology->graph.edge_count();
  std::cout << file << ": ok, topology " << topology->name << " version " << topology->version
            << ", " << topology->tasks.size()
            << (topology->tasks.size() == 1 ? " task, " : " tasks, ") << edges
            << (edges == 1 ? " edge" : " edges") << "\n";
  return runtime::kExitOk;
}

}  // namespace

int validate_command(int argc, const char* const* argv) {
  runtime::CommandLine line("tempest validate",
                            "Checks topology files with all that they name, and reports every "
                            "fault with its place.");
  line.positional("FILE", "A topology file", true, true)
      .list("library", "FILE", "A task library, besides those that the file names")
      .list("library-path", "DIR", "Where to look for task libraries")
      .example("tempest validate Topology.toml", "before it is rolled out; exit code 78 if not ok");
  if (const auto exit = line.parse(argc, argv)) return *exit;

  int worst = runtime::kExitOk;
  for (const std::string& file : line.texts("FILE")) {
    worst = std::max(worst, validate(file, line.texts("library"), line.texts("library-path")));
  }
  return worst;
}

}  // namespace tempest::cli
