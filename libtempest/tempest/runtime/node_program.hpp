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
  std::vector<std::string> brokers;  ///< --broker, at least one (none for a broker).
  Duration drain_timeout{};          ///< --drain-timeout, 8s.
  Duration stall_after{};            ///< --stall-after, 10s; of coordinators and workers.
  link::Settings link;               ///< --lease sets the lease; heartbeats are a third of it.
};

/// Adds --log-level and --log-format.
void add_log_options(CommandLine& line, const char* default_level = "info");
/// Starts the log as they say, after parse(). Wrong values: line.failed().
void start_log(CommandLine& line);

/// Adds --name, --log-level, --log-format, --drain-timeout, --lease and (unless for a broker)
/// --broker.
void add_node_options(Role role, CommandLine& line);

/// Reads them after parse(), and starts the log. Wrong values: line.failed().
NodeOptions read_node_options(Role role, CommandLine& line);

/// An identity with a fresh incarnation, from the operating system's random device.
link::Identity make_identity(Role role, std::string name, std::string topology);
/// For a machine's Random.
std::uint64_t random_seed();
std::string host_name();
/// The folder of this very program: the others are beside it.
std::string program_folder();

/// The loop options that follow from the node's options. Its statistics go to its brokers' stats
/// buses.
NodeLoopOptions loop_options(const NodeOptions& options, const link::Identity& identity,
                             const std::string& bind);

/// For nodes through which frames pass. Those of a megabyte come and go, and the allocator would
/// give their memory back to the kernel each time, and take it again page by page: a third of what
/// such a frame costs. Keeps at most 64 MiB. Before the first frame.
void keep_memory_of_frames();

/// Runs a bound loop in this thread until its node ends, with SIGTERM and SIGINT as requests to
/// stop (the second: at once). One loop a process at a time. Returns the exit code.
int run_loop(NodeLoop& loop, Node& node);

/// Makes signals ask `stop(at_once)` for as long as this lives; for a process with several loops.
/// One a process at a time. `stop` must be async-signal-safe, as NodeLoop::request_stop is.
class StopSignals {
 public:
  using Stop = void (*)(void* context, bool at_once);
  StopSignals(Stop stop, void* context);
  ~StopSignals();
  /// As the second of two signals does. From any thread; nothing if there is none of these.
  static void stop_now();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;
};

}  // namespace tempest::runtime
