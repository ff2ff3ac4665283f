#include <algorithm>
#include <iostream>
#include <vector>

#include "cli/commands.hpp"
#include "cli/graph_drawing.hpp"
#include "tempest/base/spelling.hpp"
#include "tempest/runtime/command_line.hpp"
#include "tempest/runtime/exit_code.hpp"
#include "tempest/runtime/topology_file.hpp"

namespace tempest::cli {

int graph_command(int argc, const char* const* argv) {
  runtime::CommandLine line("tempest graph",
                            "Draws a topology: its source, its tasks, and the way of messages.");
  line.positional("FILE", "A topology file")
      .option("format", "FORMAT", "dot, mermaid or text", "text")
      .example("tempest graph Topology.toml --format dot | dot -Tsvg > topology.svg",
               "a picture, by Graphviz");
  if (const auto exit = line.parse(argc, argv)) return *exit;
  const std::string format = line.text("format");
  const std::vector<std::string> formats = {"dot", "mermaid", "text"};
  if (std::find(formats.begin(), formats.end(), format) == formats.end()) {
    const auto nearest = nearest_name(format, formats);
    line.fail("--format is dot, mermaid or text, not '" + format + "'" +
              (nearest ? "; did you mean '" + *nearest + "'?" : std::string()));
    return runtime::kExitUsage;
  }

  std::vector<runtime::Diagnostic> diagnostics;
  const auto topology = runtime::load_topology(line.text("FILE"), diagnostics);
  if (!topology) {
    std::cerr << runtime::joined(diagnostics) << "\n";
    return diagnostics.front().line == 0 ? runtime::kExitInputOutput : runtime::kExitConfiguration;
  }
  std::cout << (format == "dot"       ? draw_dot(*topology)
                : format == "mermaid" ? draw_mermaid(*topology)
                                      : draw_text(*topology));
  return runtime::kExitOk;
}

}  // namespace tempest::cli
