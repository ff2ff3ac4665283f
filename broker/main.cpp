#include <cstdio>

#include "broker/broker_node.hpp"
#include "broker/options.hpp"
#include "tempest/runtime/exit_code.hpp"
#include "tempest/runtime/first_process.hpp"
#include "tempest/runtime/process_guard.hpp"

using namespace tempest;

int main(int argc, char** argv) {
  runtime::guard_process();
  runtime::stand_behind_first_process();
  runtime::CommandLine line("tempest-broker",
                            "Keeps the registry of live nodes, and the stats bus.");
  broker::add_options(line);
  if (const auto exit = line.parse(argc, argv)) return *exit;
  const broker::Options options = broker::read_options(line);
  if (line.failed()) return runtime::kExitUsage;

  runtime::Transport transport;
  auto opened = broker::Broker::open(transport, options.node, options.bind);
  if (!opened) {
    std::fprintf(stderr, "tempest-broker: %s\n", opened.error().message.c_str());
    return runtime::kExitUnavailable;
  }
  broker::Broker& node = **opened;
  return runtime::run_loop(node.loop(), node.node());
}
