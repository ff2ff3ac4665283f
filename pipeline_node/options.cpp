#include "pipeline_node/options.hpp"

#include "tempest/base/limits.hpp"
#include "tempest/runtime/command_line.hpp"
#include "tempest/runtime/exit_code.hpp"

namespace tempest::pipeline_node {

std::optional<PipelineOptions> parse_options(int argc, const char* const* argv, int& exit_code) {
  runtime::CommandLine line("tempest-pipeline",
                            "Coordinates a topology: takes messages from sources, has workers "
                            "handle them, and follows each until all it gave rise to is done.");
  line.option("topology", "FILE", "The topology's file (needed)");
  line.option("bind", "URL",
              "Where sources and workers connect to; by default a free port, of this machine alone "
              "if the broker is on it, else of all its addresses");
  line.option("advertise", "HOST",
              "The host name or address under which others reach this node; by default the host "
              "it is bound to, or else the address at which the broker reaches this machine");
  line.option("min-workers", "N",
              "Take no messages before so many workers are there for the first time", "1");
  runtime::add_node_options(Role::pipeline, line);
  line.example("tempest-pipeline --topology Topology.toml", "with a broker on this machine");
  line.example(
      "tempest-pipeline --broker tcp://broker:5550 --topology Topology.toml --bind tcp://*:5560 "
      "--advertise pipeline",
      "on a machine that others know as pipeline");
  if (const auto exit = line.parse(argc, argv)) {
    exit_code = *exit;
    return std::nullopt;
  }
  PipelineOptions options;
  options.node = runtime::read_node_options(Role::pipeline, line);
  options.topology_file = line.text("topology");
  options.bind = line.text("bind");
  options.advertise = line.text("advertise");
  options.min_workers = static_cast<std::size_t>(line.integer("min-workers", 0, kMaxNodes));
  if (options.topology_file.empty()) line.fail("which topology? give --topology Topology.toml");
  if (line.failed()) {
    exit_code = runtime::kExitUsage;
    return std::nullopt;
  }
  return options;
}

std::string advertised_endpoint(const std::string& bound, const std::string& advertise,
                                const std::string& reached_at) {
  constexpr std::string_view scheme = "tcp://";
  if (bound.rfind(scheme, 0) != 0) return bound;
  const auto colon = bound.rfind(':');
  const std::string host = bound.substr(scheme.size(), colon - scheme.size());
  const bool any = host == "0.0.0.0" || host == "*" || host == "[::]";
  if (advertise.empty() && !any) return bound;
  return std::string(scheme) + (advertise.empty() ? reached_at : advertise) + bound.substr(colon);
}

}  // namespace tempest::pipeline_node
