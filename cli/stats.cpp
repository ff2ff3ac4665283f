#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <iostream>
#include <limits>
#include <nlohmann/json.hpp>

#include "cli/commands.hpp"
#include "cli/text_table.hpp"
#include "stats_node/aggregate_feed.hpp"
#include "tempest/base/quantity.hpp"
#include "tempest/runtime/clock.hpp"
#include "tempest/runtime/command_line.hpp"
#include "tempest/runtime/exit_code.hpp"
#include "tempest/runtime/node_program.hpp"

namespace tempest::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr Duration kPatience = std::chrono::seconds(5);
/// How soon a signal is heeded.
constexpr Duration kSlice = std::chrono::milliseconds(200);

std::string number(const Json& json, const char* key) {
  const auto value = json.find(key);
  if (value == json.end() || !value->is_number()) return "-";
  return value->is_number_float() ? std::to_string(std::llround(value->get<double>()))
                                  : std::to_string(value->get<std::int64_t>());
}

std::string percent(const Json& json, const char* key) {
  const auto value = json.find(key);
  if (value == json.end() || !value->is_number()) return "-";
  return std::to_string(std::llround(100 * value->get<double>())) + "%";
}

/// Of the distribution under `key`, this many seconds, for people.
std::string time(const Json& json, const char* key, const char* what) {
  const auto distribution = json.find(key);
  if (distribution == json.end() || !distribution->is_object()) return "-";
  if (distribution->value("recent_count", std::int64_t{0}) == 0) return "-";
  const std::chrono::duration<double> seconds(distribution->value(what, 0.0));
  return format_duration(std::chrono::duration_cast<std::chrono::microseconds>(seconds));
}

void print_topologies(const Json& topologies) {
  TextTable table({"TOPOLOGY", ">READ", ">ACKED", ">FAILED", ">RETRIED", ">DEAD", ">IN FLIGHT",
                   ">ACKED/S", ">P50", ">P99", ">NODES"});
  for (const auto& [name, topology] : topologies.items()) {
    table.add({name, number(topology, "read"), number(topology, "acked"),
               number(topology, "failed"), number(topology, "retried"),
               number(topology, "dead_lettered"), number(topology, "in_flight"),
               number(topology, "messages_per_second"),
               time(topology, "tree_duration", "recent_p50_seconds"),
               time(topology, "tree_duration", "recent_p99_seconds"),
               std::to_string(topology.value("nodes", Json::array()).size())});
  }
  table.print(std::cout);
}

void print_tasks(const Json& topologies) {
  TextTable table({"TASK", ">HANDLED", ">PER SECOND", ">RETRIED", ">TIMED OUT", ">QUEUED",
                   ">IN FLIGHT", ">P50", ">P99", ">CAPACITY", ">UNTAKEN"});
  for (const auto& [name, topology] : topologies.items()) {
    const Json tasks = topology.value("tasks", Json::object());
    for (const auto& [task, numbers] : tasks.items()) {
      table.add({name + "." + task, number(numbers, "handled"),
                 number(numbers, "handled_per_second"), number(numbers, "retried"),
                 number(numbers, "timed_out"), number(numbers, "queued"),
                 number(numbers, "in_flight"), time(numbers, "handle", "recent_p50_seconds"),
                 time(numbers, "handle", "recent_p99_seconds"), percent(numbers, "capacity"),
                 number(numbers, "outputs_untaken")});
    }
  }
  if (!table.empty()) table.print(std::cout);
}

/// What tempest-stats had no room for is not passed over.
void print_left_out(const Json& topologies) {
  for (const auto& [name, topology] : topologies.items()) {
    const auto left_out = topology.value("series_left_out", std::uint64_t{0});
    if (left_out == 0) continue;
    std::cout << "... and " << left_out << " more numbers that nodes of " << name
              << " report and tempest-stats has no room for, or cannot use\n";
  }
}

void print_table(const std::string& aggregate) {
  const Json json = Json::parse(aggregate, nullptr, false);
  if (json.is_discarded() || !json.is_object()) {
    std::cerr << "tempest stats: an aggregate that cannot be read was left out\n";
    return;
  }
  const Json topologies = json.value("topologies", Json::object());
  std::cout << json.value("time", std::string());
  if (topologies.empty()) {
    std::cout << "  no topology is running\n\n";
    return;
  }
  std::cout << "\n";
  print_topologies(topologies);
  print_tasks(topologies);
  print_left_out(topologies);
  if (const auto refused = json.value("reports_refused", std::uint64_t{0}); refused > 0) {
    std::cout << "... and of more nodes than tempest-stats keeps, whose " << refused
              << " reports it has refused\n";
  }
  std::cout << "\n";
}

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
    } else {
      print_table(*aggregate);
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
    std::cerr << "tempest stats: " << feed.error().message << "\n";
    return runtime::kExitUsage;
  }
  return follow(**feed, line.has_flag("json"), count);
}

}  // namespace tempest::cli
