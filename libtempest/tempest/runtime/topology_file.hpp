#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tempest/runtime/task_libraries.hpp"
#include "tempest/runtime/topology_document.hpp"
#include "tempest/topology.hpp"

/// Topology files: Topology.toml, or its text as it came from the registry.
namespace tempest::runtime {

/// Names of a topology's file that only whoever has the libraries can check, with their places.
/// Filled as far as the file can be read, even where it has faults.
struct TopologyReferences {
  struct Reference {
    std::string text;
    Position position;
  };
  std::vector<Reference> libraries;
  struct Part : Reference {
    LibraryPart part = LibraryPart::task;
    /// Its `config` table and where that stands (the table around it, if there is none).
    DocumentTable config;
    Position config_position;
    std::string config_name;  ///< "task.config", as TOML calls it.
  };
  /// Each `uses` and `type` of the form "library:Name".
  std::vector<Part> parts;

  /// An `after` entry that takes an output by its name: "task:output".
  struct Edge : Reference {
    std::string task;  ///< Whose output.
    std::string output;
    std::string uses;  ///< Of that task; empty if there is none.
  };
  std::vector<Edge> edges;
};

/// The topology that a text says, or nothing and at least one more diagnostic: every fault there
/// is, in the order of their places. `file` is only for the diagnostics. Variables are not filled
/// in: that is load_topology()'s, since the text may be another machine's.
std::optional<Topology> parse_topology(const std::string& text, const std::string& file,
                                       std::vector<Diagnostic>& diagnostics,
                                       TopologyReferences* references = nullptr);

/// Reads a file, fills in ${VARIABLE} and ${VARIABLE:default} within its strings from the
/// environment, and parses it. A file that cannot be read is one diagnostic, of line 0.
std::optional<Topology> load_topology(const std::string& path, std::vector<Diagnostic>& diagnostics,
                                      TopologyReferences* references = nullptr);

/// All of them, a line each, for one Error's message.
std::string joined(const std::vector<Diagnostic>& diagnostics);

}  // namespace tempest::runtime
