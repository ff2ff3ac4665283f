#pragma once

#include "source_node/source_node.hpp"
#include "tempest/runtime/command_line.hpp"
#include "tempest/runtime/node_program.hpp"

namespace tempest::source_node {

struct Options {
  runtime::NodeOptions node;
  std::string topology;
  std::string consumer;  ///< SourceNodeOptions::consumer.
  std::string record;
  bool exit_when_drained = false;
  bool exit_when_ended = false;
  runtime::LibraryPlaces libraries;
};

/// What `tempest-source` takes.
void add_options(runtime::CommandLine& line);
/// After parse(). Wrong values: line.failed().
Options read_options(runtime::CommandLine& line);

/// What a SourceNode needs of them.
SourceNodeOptions node_options(const Options& options, const link::Identity& identity);

}  // namespace tempest::source_node
