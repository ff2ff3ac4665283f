#pragma once

#include <string>

#include "tempest/runtime/command_line.hpp"
#include "tempest/runtime/node_program.hpp"

namespace tempest::broker {

struct Options {
  runtime::NodeOptions node;
  std::string bind;
};

/// What `tempest-broker` takes.
void add_options(runtime::CommandLine& line);
/// After parse(). Wrong values: line.failed().
Options read_options(runtime::CommandLine& line);

}  // namespace tempest::broker
