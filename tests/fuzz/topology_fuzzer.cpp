#include <optional>
#include <string>
#include <vector>

#include "input.hpp"
#include "tempest/runtime/topology_file.hpp"
#include "tempest/runtime/topology_variables.hpp"

/// Texts as topology files. What is refused is refused with a diagnostic of a place in the text;
/// what is accepted has a graph that was checked, and is the same when read again.
using namespace tempest;
using namespace tempest::runtime;
using fuzz::require;

namespace {

void check(const std::string& text) {
  std::vector<Diagnostic> diagnostics;
  TopologyReferences references;
  const auto topology = parse_topology(text, "Topology.toml", diagnostics, &references);
  require(topology.has_value() == diagnostics.empty(), "refused without a reason, or not refused");
  for (const Diagnostic& diagnostic : diagnostics) {
    require(!diagnostic.text().empty(), "a diagnostic says nothing");
    require(diagnostic.line >= 0 && diagnostic.column >= 0, "a diagnostic of no place");
  }
  if (!topology) return;
  require(topology->graph.task_count() == topology->tasks.size(), "the graph lacks a task");
  require(topology->graph.topological_order().size() == topology->tasks.size(),
          "the order lacks a task");
  const auto again = parse_topology(topology->text, "Topology.toml", diagnostics);
  require(again && again->version == topology->version, "not the same when read again");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  check(text);

  if (text.find('$') == std::string::npos) return 0;
  // A value that would end its string, were it not escaped.
  const auto lookup = [](const std::string& name) -> std::optional<std::string> {
    if (name == "UNSET") return std::nullopt;
    return "'\"\\\n" + name;
  };
  std::vector<Diagnostic> diagnostics;
  VariableFilling filling;
  const bool filled = filling.fill(text, "Topology.toml", lookup, diagnostics);
  require(filled == diagnostics.empty(), "variables refused without a reason, or not refused");
  check(filling.text());
  return 0;
}
