#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tempest/base/ids.hpp"
#include "tempest/base/time.hpp"
#include "tempest/dag/graph.hpp"
#include "tempest/link/node.hpp"
#include "tempest/wire/stats_builder.hpp"

namespace tempest::pipeline_node {

/// What tasks need and cannot reach: a sink's server, a full disk. Says so once for each task and
/// worker, when it begins and when it is over. It is over once the task has been able to work there
/// for kSteady without an interruption, so that what comes and goes is not said each time.
///
/// A coordinator's machine owns it, and tells it of every result that may matter.
class AwayLog {
 public:
  static constexpr Duration kSteady = std::chrono::seconds(1);

  /// A delivery of the task could not be done at this worker, for want of something.
  void waits(TaskId task, const std::string& worker, std::string_view cause, TimePoint now,
             const dag::Graph& graph, std::vector<link::Notice>& notices);
  /// One was done there.
  void works(TaskId task, const std::string& worker, TimePoint now) {
    if (!entries_.empty()) note_work(task, worker, now);
  }
  /// The worker is gone, and with it what it could not reach.
  void forget(const std::string& worker);
  /// Says what is over. True: describe() may have changed.
  bool turn(TimePoint now, const dag::Graph& graph, std::vector<link::Notice>& notices);
  TimePoint next_turn() const;

  bool empty() const { return entries_.empty(); }
  /// The first of what is away, with its task and cause; empty if nothing is.
  std::string describe(const dag::Graph& graph) const;
  void report(const dag::Graph& graph, wire::StatsBuilder& stats) const;

 private:
  struct Entry {
    TimePoint since{};
    TimePoint works_since = kNever;  ///< kNever: it still cannot be reached.
    std::uint64_t waits = 0;         ///< Deliveries that had to wait, each as often as it had to.
    std::string cause;
  };
  using Key = std::pair<TaskId, std::string>;

  void note_work(TaskId task, const std::string& worker, TimePoint now);

  std::map<Key, Entry> entries_;
  std::map<TaskId, std::uint64_t> waits_;  ///< Since the start.
  bool has_changed_ = false;
};

}  // namespace tempest::pipeline_node
