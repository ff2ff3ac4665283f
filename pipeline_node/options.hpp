#pragma once

#include <optional>
#include <string>

#include "pipeline_node/pipeline_machine.hpp"
#include "tempest/runtime/node_program.hpp"

namespace tempest::pipeline_node {

struct PipelineOptions {
  runtime::NodeOptions node;
  std::string topology_file;
  std::string bind;  ///< Empty: as the brokers' addresses suggest (runtime::reach_from()).
  std::size_t min_workers = 0;
  std::string advertise;  ///< The host at which others reach this node.
};

/// From the command line; nothing if the program is to end now, with `exit_code`.
std::optional<PipelineOptions> parse_options(int argc, const char* const* argv, int& exit_code);

/// Returns the endpoint to tell others: `bound`, if it is of tcp with its host replaced by
/// `advertise`, or, where neither that nor `bound` names one, by `reached_at`.
std::string advertised_endpoint(const std::string& bound, const std::string& advertise,
                                const std::string& reached_at);

}  // namespace tempest::pipeline_node
