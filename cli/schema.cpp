#include <iostream>

#include "cli/commands.hpp"
#include "tempest/runtime/command_line.hpp"
#include "tempest/runtime/exit_code.hpp"
#include "tempest/runtime/topology_schema.hpp"

namespace tempest::cli {

int schema_command(int argc, const char* const* argv) {
  runtime::CommandLine line("tempest schema",
                            "Prints the JSON Schema of topology files, for editors.");
  line.example("tempest schema > topology.schema.json", "keep it where an editor finds it");
  if (const auto exit = line.parse(argc, argv)) return *exit;
  std::cout << runtime::topology_json_schema() << "\n";
  return runtime::kExitOk;
}

}  // namespace tempest::cli
