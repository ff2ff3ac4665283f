#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "stats_node/aggregate.hpp"
#include "tempest/base/limits.hpp"
#include "tempest/base/time.hpp"
#include "tempest/wire/frames.hpp"

namespace tempest::stats_node {

/// Makes one set of numbers per topology out of what all nodes report of themselves. Pure.
///
/// Nodes come and go, and each counts from its own start. So that a topology's counters never go
/// down, what a finished incarnation had counted is kept in its topology's base; a node that is
/// merely silent keeps counting with what it last said, and only its gauges are left out.
///
/// Reports are not trusted: nodes and series are bounded, and what could be no metric, by its name
/// or its number, is dropped. Each is counted, and what is missing of a topology is said with its
/// numbers.
class StatsMachine {
 public:
  struct Limits {
    /// A node that has reported nothing for this long is not live.
    Duration silence = std::chrono::seconds(5);
    std::size_t nodes = kMaxNodes;
    /// Enough for a node with kMaxTasks tasks.
    std::size_t series_per_node = 32'768;
    /// Of all nodes together.
    std::size_t series = 524'288;
  };

  struct Counters {
    std::uint64_t reports = 0;
    std::uint64_t repeated = 0;  ///< The same report by way of another broker, or a late one.
    std::uint64_t refused = 0;   ///< There were too many nodes.
    std::uint64_t dropped_series = 0;
  };

  struct NodeKey {
    std::string topology;
    Role role{};
    std::string name;

    auto operator<=>(const NodeKey&) const = default;
  };

  /// One node's numbers, as it last reported them.
  struct Report {
    Incarnation incarnation;
    std::uint64_t uptime_ms = 0;
    std::map<Series, Aggregate::Number> numbers;  ///< per_second is not filled in.
    std::map<Series, Histogram> distributions;
    std::uint64_t left_out = 0;  ///< Series that it reported and that are not here.

    std::size_t size() const { return numbers.size() + distributions.size(); }
  };

  StatsMachine() = default;
  explicit StatsMachine(const Limits& limits) : limits_(limits) {}

  void take(const wire::StatsReport& report, TimePoint now);

  /// By topology, those that have live nodes; "" has what belongs to none, such as brokers.
  std::map<std::string, Aggregate> aggregate(TimePoint now) const;
  /// The live nodes, by topology, role and name; good until the next take().
  std::vector<std::pair<const NodeKey*, const Report*>> live_nodes(TimePoint now) const;

  const Counters& counters() const { return counters_; }

 private:
  struct Node {
    Report latest;
    Report previous;         ///< Of the same incarnation; nothing if uptime_ms is 0.
    std::size_t series = 0;  ///< In `latest`.
    TimePoint heard_at{};
    /// The incarnations before this one, newest last: their late reports do not count again.
    std::vector<Incarnation> finished;
  };
  /// What finished incarnations have counted.
  struct Base {
    std::map<Series, double> counters;
    std::map<Series, Histogram> distributions;
    std::uint64_t left_out = 0;  ///< Series of finished incarnations that there was no room for.
    std::size_t nodes = 0;       ///< Records that belong to the topology; without any it goes.
  };

  bool is_live(const Node& node, TimePoint now) const {
    return now - node.heard_at <= limits_.silence;
  }
  bool make_room(TimePoint now);
  /// Of at most so many series.
  Report read(const wire::StatsReport& report, std::size_t room);
  static void fold(const Report& report, Base& base);
  static void add_live(const NodeKey& key, const Node& node, Aggregate& aggregate);
  static void add_totals(const Report& report, Aggregate& aggregate);
  static void add_base(const Base& base, Aggregate& aggregate);

  Limits limits_;
  std::map<NodeKey, Node> nodes_;
  std::map<std::string, Base> bases_;
  std::size_t series_ = 0;  ///< In all nodes' last reports.
  Counters counters_;
};

}  // namespace tempest::stats_node
