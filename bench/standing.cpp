#include "bench/standing.hpp"

#include <signal.h>

#include <map>
#include <thread>

#include "bench/nodes.hpp"
#include "tempest/runtime/clock.hpp"

namespace tempest::bench {

namespace {

// For nodes to find each other and to come to rest.
constexpr Duration kSettle = std::chrono::seconds(2);
constexpr Duration kEndPatience = std::chrono::seconds(20);
constexpr Duration kFillPatience = std::chrono::minutes(2);

Error with_log(const Nodes& nodes, Error error) {
  const std::string log = nodes.log();
  if (!log.empty()) error.message += "; the nodes said:\n" + log;
  return error;
}

std::map<std::string, Usage> usage_by_kind(Nodes& nodes) {
  std::map<std::string, Usage> sums;
  for (const Child& child : nodes.children()) {
    const Usage usage = child.usage();
    Usage& sum = sums[kind_of(child.name())];
    sum.cpu_ns += usage.cpu_ns;
    sum.resident_bytes += usage.resident_bytes;
  }
  return sums;
}

/// SIGTERM, and 0 in return.
Result<void> end_in_order(Nodes& nodes) {
  auto& children = nodes.children();
  for (std::size_t i = children.size(); i-- > 0;) {
    children[i].signal(SIGTERM);
    const auto code = children[i].wait(kEndPatience);
    if (code == 0) continue;
    return Error{ErrorCode::fail, children[i].name() + " has ended with " +
                                      (code ? std::to_string(*code) : "nothing in time")};
  }
  return {};
}

/// How many messages each kind of node has of those that are in flight.
std::map<std::string, double> held_by_kind(const StatsWatch& watch) {
  return {{"source", static_cast<double>(watch.sum("tempest_messages_pending"))},
          {"pipeline", static_cast<double>(watch.sum("tempest_trees_in_flight"))},
          {"task", static_cast<double>(watch.sum("tempest_deliveries_in_flight"))}};
}

}  // namespace

Result<NamedValues> measure_idle(const Settings& settings) {
  auto started = Nodes::start(settings);
  if (!started) return started.error();
  Nodes& nodes = **started;
  if (auto source = nodes.start_source("source", false); !source) return source.error();
  std::this_thread::sleep_for(kSettle);
  const auto before = usage_by_kind(nodes);
  const TimePoint begin = runtime::monotonic_now();
  std::this_thread::sleep_for(settings.time);
  const auto after = usage_by_kind(nodes);
  const auto span = static_cast<double>((runtime::monotonic_now() - begin).count());
  NamedValues values;
  for (const auto& [kind, usage] : after) {
    const auto used = static_cast<double>(usage.cpu_ns - before.at(kind).cpu_ns);
    values.emplace_back("CPU % " + kind, 100 * used / span);
  }
  if (auto ended = end_in_order(nodes); !ended) return with_log(nodes, ended.error());
  return values;
}

Result<NamedValues> measure_memory(const Settings& settings) {
  auto started = Nodes::start(settings);
  if (!started) return started.error();
  Nodes& nodes = **started;
  std::this_thread::sleep_for(kSettle);
  auto before = usage_by_kind(nodes);
  for (std::size_t i = 1; i <= settings.sources; ++i) {
    auto source = nodes.start_source("source-" + std::to_string(i), false);
    if (!source) return source.error();
  }
  // What a source has before it has read, which it does at once, is taken to be a worker's.
  before["source"].resident_bytes =
      before["task"].resident_bytes / settings.workers * settings.sources;
  // A source may leave room that is less than a whole read.
  const double wanted = 0.98 * static_cast<double>(settings.in_flight * settings.sources);
  const TimePoint deadline = runtime::monotonic_now() + kFillPatience;
  while (held_by_kind(nodes.watch())["source"] < wanted) {
    nodes.watch().wait(std::chrono::milliseconds(100));
    if (runtime::monotonic_now() < deadline) continue;
    return with_log(nodes, Error{ErrorCode::fail, "the sources do not come to hold that many"});
  }
  // Until what the coordinator holds stands still.
  std::this_thread::sleep_for(kSettle);
  nodes.watch().wait(kSettle);
  const auto after = usage_by_kind(nodes);
  auto held = held_by_kind(nodes.watch());

  NamedValues values{{"in flight", held["source"]}};
  double beyond = -held["source"] * static_cast<double>(settings.size_bytes);
  for (const auto& [kind, usage] : after) {
    const double grown = static_cast<double>(usage.resident_bytes) -
                         static_cast<double>(before.at(kind).resident_bytes);
    beyond += grown;
    if (held[kind] < 1) continue;
    values.emplace_back("messages at " + kind, held[kind]);
    values.emplace_back("bytes/message beyond payload at " + kind,
                        grown / held[kind] - static_cast<double>(settings.size_bytes));
  }
  values.emplace_back("bytes/message beyond payload, all nodes", beyond / held["source"]);
  return values;
}

}  // namespace tempest::bench
