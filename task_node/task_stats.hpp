#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

#include "task_node/execution.hpp"
#include "task_node/untaken_outputs.hpp"
#include "tempest/base/histogram.hpp"
#include "tempest/link/link.hpp"
#include "tempest/wire/frames.hpp"
#include "tempest/wire/stats_builder.hpp"

namespace tempest::task_node {

/// A worker's counts since its start. By the names of tasks, so that they outlive a change of the
/// topology.
struct TaskStats {
  struct Task {
    /// By wire::Results::Status.
    std::array<std::uint64_t, kResultStatuses> handled{};
    Histogram handle_times;
    Histogram wait_times;
    std::uint64_t fused = 0;  ///< Of those handled: how many had no delivery of their own.
    std::uint64_t dropped_outputs = 0;

    void count(wire::Results::Status status) { ++handled[static_cast<std::size_t>(status)]; }
    void count(const FusedTask& fused);
  };
  std::map<std::string, Task, std::less<>> tasks;
  UntakenOutputs untaken;

  /// Results nobody waits for any more: their coordinator's session is over.
  std::uint64_t late_results = 0;
  /// Results of calls that had been given up as too long before they ended.
  std::uint64_t overdue_results = 0;
  /// Handler threads that were given up in a call that took too long, and another put in their
  /// place.
  std::uint64_t threads_replaced = 0;
  /// Deliveries that waited when their coordinator's session ended.
  std::uint64_t dropped_deliveries = 0;
  /// Bodies that could not be read, or were of a kind that no coordinator sends.
  std::uint64_t malformed_bodies = 0;
  std::uint64_t refused_deliveries = 0;
  std::uint64_t coordinators_lost = 0;
  /// Of links that are closed.
  link::Counters closed_links;

  /// Appends what is counted here. What is a matter of the moment is the machine's to add.
  void report(wire::StatsBuilder& stats) const;
};

}  // namespace tempest::task_node
