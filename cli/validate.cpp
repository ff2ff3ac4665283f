#include <algorithm>
#include <iostream>
#include <string>

#include "cli/checked_topology.hpp"
#include "cli/commands.hpp"
#include "tempest/runtime/command_line.hpp"
#include "tempest/runtime/exit_code.hpp"

namespace tempest::cli {
namespace {

int validate(const std::string& file, const runtime::LibraryPlaces& libraries) {
  int exit_code = runtime::kExitOk;
  const auto topology = load_checked_topology(file, libraries, exit_code);
  if (!topology) return exit_code;
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
    worst = std::max(worst, validate(file, {line.texts("library"), line.texts("library-path")}));
  }
  return worst;
}

}  // namespace tempest::cli
