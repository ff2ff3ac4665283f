#pragma once

#include <string>

#include "tempest/runtime/command_line.hpp"
#include "tempest/runtime/node_program.hpp"

namespace tempest::stats_node {

struct Options {
  runtime::NodeOptions node;
  std::string http;  ///< "HOST:PORT"; empty: none.
};

/// What `tempest-stats` takes.
void add_options(runtime::CommandLine& line);
/// After parse(). Wrong values: line.failed().
Options read_options(runtime::CommandLine& line);

}  // namespace tempest::stats_node
