#pragma once

#include <string>

#include "task_node/task_node.hpp"
#include "tempest/runtime/command_line.hpp"
#include "tempest/runtime/node_program.hpp"

namespace tempest::task_node {

struct Options {
  runtime::NodeOptions node;
  std::string topology;
  TaskNodeOptions task_node;
};

void add_options(runtime::CommandLine& line);
/// After parse(). Wrong values: line.failed().
Options read_options(runtime::CommandLine& line);

}  // namespace tempest::task_node
