#include <unistd.h>

#include <atomic>
#include <iostream>
#include <limits>

#include "cli/commands.hpp"
#include "cli/stats_tables.hpp"
#include "stats_node/aggregate_feed.hpp"
#include "tempest/base/quantity.hpp"
#include "tempest/base/safe_text.hpp"
#include "tempest/runtime/clock.hpp"
#include "tempest/runtime/command_line.hpp"
#include "tempest/runtime/exit_code.hpp"
#include "tempest/runtime/node_program.hpp"

namespace tempest::cli {
namespace {

constexpr Duration kPatience = std::chrono::seconds(5);
/// How soon a signal is heeded.
constexpr Duration kSlice = std::chrono::milliseconds(200);

/// Until `count` aggregates are printed (0: for ever), or a signal asks for the end.
int follow(stats_node::AggregateFeed& feed, bool as_json, std::int64_t count) {
  std::atomic<bool> stop{false};
  const runtime::StopSignals signals(
      [](void* context, bool) { static_cast<std::atomic<bool>*>(context)->store(true); }, &stop);
  TimePoint give_up_at = runtime::monotonic_now() + kPatience;
  for (std::int64_t printed = 0; !stop && (count == 0 || printed < count);) {
    const std::optional<std::string> aggregate = feed.next(kSlice);
    const TimePoint now = runtime::monotonic_now();
    if (!aggregate) {
      if (now < give_up_at) continue;
      std::cerr << "tempest stats: nothing for " << format_duration(kPatience)
                << ": no tempest-stats publishes here; start it, or name another "
                   "broker\n";
      return runtime::kExitUnavailable;
    }
    give_up_at = now + kPatience;
    if (as_json) {
      std::cout << *aggregate << "\n";
    } else if (!print_stats_tables(*aggregate, std::cout)) {
      std::cerr << "tempest stats: an aggregate that cannot be read was left out\n";
    }
    // Whoever reads a pipe may have had enough of it: that is an end like any other.
    if (!std::cout.flush()) return runtime::kExitOk;
    ++printed;
  }
  return runtime::kExitOk;
}

}  // namespace

int stats_command(int argc, const char* const* argv) {
  runtime::CommandLine line("tempest stats", "Prints what all nodes together do, once a second.");
  line.list("broker", "URL", "A broker's address", "tcp://127.0.0.1:5550")
      .flag("json", "One JSON object a line rather than tables")
      .option("count", "N", "End after so many; 0: never", "0")
      .example("tempest stats", "watch")
      .example("tempest stats --json --count 1 | jq '.topologies'", "the numbers of now");
  if (const auto exit = line.parse(argc, argv)) return *exit;
  const std::int64_t count = line.integer("count", 0, std::numeric_limits<std::int64_t>::max());
  if (line.failed()) return runtime::kExitUsage;
  for (const std::string& broker : line.texts("broker")) {
    if (!runtime::stats_out_endpoint(broker).empty()) continue;
    line.fail("--broker takes an address such as tcp://127.0.0.1:5550, not '" + broker + "'");
    return runtime::kExitUsage;
  }
  runtime::Transport transport;
  auto feed = stats_node::AggregateFeed::open(transport, line.texts("broker"));
  if (!feed) {
    std::cerr << "tempest stats: " << safe_text(feed.error().message) << "\n";
    return runtime::kExitUsage;
  }
  return follow(**feed, line.has_flag("json"), count);
}

}  // namespace tempest::cli
