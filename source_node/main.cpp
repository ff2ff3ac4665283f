#include "source_node/options.hpp"
#include "source_node/source_node.hpp"
#include "tempest/runtime/exit_code.hpp"
#include "tempest/runtime/exit_guard.hpp"
#include "tempest/runtime/first_process.hpp"
#include "tempest/runtime/process_guard.hpp"

using namespace tempest;

int main(int argc, char** argv) {
  runtime::guard_process();
  runtime::stand_behind_first_process();
  runtime::CommandLine line("tempest-source",
                            "Reads a topology's messages, and acks each when it is done.");
  source_node::add_options(line);
  if (const auto exit = line.parse(argc, argv)) return *exit;
  const source_node::Options options = source_node::read_options(line);
  if (line.failed()) return runtime::kExitUsage;
  const runtime::ExitGuard guard("tempest-source");

  const link::Identity identity =
      runtime::make_identity(Role::source, options.node.name, options.topology);
  runtime::Transport transport;
  runtime::NodeLoop loop(transport, runtime::loop_options(options.node, identity, {}));
  source_node::SourceNode node(source_node::node_options(options, identity), loop);
  runtime::keep_memory_of_frames();
  return runtime::run_loop(loop, node);
}
