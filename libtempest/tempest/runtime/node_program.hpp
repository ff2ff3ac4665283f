#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tempest/base/ids.hpp"
#include "tempest/base/time.hpp"
#include "tempest/link/link.hpp"
#include "tempest/runtime/command_line.hpp"
#include "tempest/runtime/node_loop.hpp"
#include "tempest/runtime/transport.hpp"

/// What the five node programs have in common: options, identity, logging, signals.
namespace tempest::runtime {

struct NodeOptions {
  std::string name;                  ///< --name; by default "<role>@<host>:<pid>".
  std::vector<std::string> brokers;  ///< --broker, at least one.
  Duration drain_timeout{};          ///< --drain-timeout, 8s.
  link::Settings link;               ///< --lease sets the lease; heartbeats are a third of it.
};

/// Adds --name, --log-level, --log-format, --drain-timeout, --lease and (unless for a broker)
/// --broker.
void add_node_options(Role role, CommandLine& line);

/// Reads them after parse(), and starts the log. Wrong values: line.failed().
NodeOptions read_node_options(Role role, CommandLine& line);

/// An identity with a fresh incarnation, from the operating system's random device.
link::Identity make_identity(Role role, std::string name, std::string topology);
/// For a machine's Random.
std::uint64_t random_seed();

/// Binds and runs the node's loop in this thread until it ends, with SIGTERM and SIGINT as
/// requests to stop (a second SIGINT: at once). `publish_stats`: to the brokers' stats bus.
/// Returns the exit code; a failed bind is one line on stderr and 69.
int run_node(Transport& transport, const NodeOptions& options, const link::Identity& identity,
             const std::string& bind, Node& node);

/// The same for a loop that the caller made, because the node wakes it from other threads.
int run_loop(NodeLoop& loop, Node& node);

/// The loop options that follow from the node's options.
NodeLoopOptions loop_options(const NodeOptions& options, const link::Identity& identity,
                             const std::string& bind);

}  // namespace tempest::runtime
