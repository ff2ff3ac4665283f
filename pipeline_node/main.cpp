#include <iostream>
#include <vector>

#include "pipeline_node/options.hpp"
#include "pipeline_node/pipeline_node.hpp"
#include "tempest/base/safe_text.hpp"
#include "tempest/runtime/exit_code.hpp"
#include "tempest/runtime/first_process.hpp"
#include "tempest/runtime/local_address.hpp"
#include "tempest/runtime/logging.hpp"
#include "tempest/runtime/node_program.hpp"
#include "tempest/runtime/process_guard.hpp"
#include "tempest/runtime/topology_file.hpp"

using namespace tempest;

int main(int argc, char** argv) {
  runtime::guard_process();
  runtime::stand_behind_first_process();
  int exit_code = 0;
  const auto options = pipeline_node::parse_options(argc, argv, exit_code);
  if (!options) return exit_code;

  std::vector<runtime::Diagnostic> diagnostics;
  auto topology = runtime::load_topology(options->topology_file, diagnostics);
  for (const auto& diagnostic : diagnostics) std::cerr << diagnostic.text() << "\n";
  if (!topology) return runtime::kExitConfiguration;

  const auto self = runtime::make_identity(Role::pipeline, options->node.name, topology->name);
  // Looking up the brokers' names may take long: only where somebody wants to know.
  const bool is_all_given = !options->bind.empty() && !options->advertise.empty();
  const runtime::Reach reach =
      is_all_given ? runtime::Reach{} : runtime::reach_from(options->node.brokers);
  const std::string bind = options->bind.empty() ? reach.bind : options->bind;
  runtime::Transport transport;
  runtime::NodeLoop loop(transport, runtime::loop_options(options->node, self, bind));
  if (auto bound = loop.bind(); !bound) {
    std::cerr << "tempest-pipeline: " << safe_text(bound.error().message) << "\n";
    return runtime::kExitUnavailable;
  }
  pipeline_node::PipelineSettings settings;
  settings.brokers = options->node.brokers;
  settings.endpoint = pipeline_node::advertised_endpoint(loop.bound_endpoint(), options->advertise,
                                                         reach.advertise);
  settings.link = options->node.link;
  settings.drain_timeout = options->node.drain_timeout;
  settings.stall_after = options->node.stall_after;
  settings.min_workers = options->min_workers;
  runtime::Log log(options->node.name);
  log.write({link::Notice::Level::info,
             "coordinating " + topology->name + " at " + settings.endpoint,
             {{"listens", loop.bound_endpoint()}}});
  const bool is_guessed = options->advertise.empty() && settings.endpoint != loop.bound_endpoint();
  if (!reach.doubt.empty() && is_guessed) {
    log.write({link::Notice::Level::warning,
               "others may not reach the address that they are told: if they do not, give "
               "--advertise HOST",
               {{"endpoint", settings.endpoint}, {"cause", reach.doubt}}});
  }
  pipeline_node::PipelineNode node(self, std::move(settings), std::move(*topology),
                                   runtime::random_seed());
  runtime::keep_memory_of_frames();
  return runtime::run_loop(loop, node);
}
