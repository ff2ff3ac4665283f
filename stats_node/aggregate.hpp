#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "tempest/base/histogram.hpp"
#include "tempest/base/ids.hpp"

namespace tempest::stats_node {

/// What is counted: a name and its labels, sorted by name.
struct Series {
  std::string name;
  std::vector<std::pair<std::string, std::string>> labels;

  auto operator<=>(const Series&) const = default;
  /// Empty if there is no such label.
  std::string_view label(std::string_view label_name) const;
};

/// The numbers of one topology, all nodes together.
struct Aggregate {
  struct Number {
    double value = 0;
    double per_second = 0;  ///< Of counters, by the last two reports of each live node.
    bool is_counter = true;
  };
  struct Distribution {
    Histogram all;     ///< Since the start of the first node.
    Histogram recent;  ///< Between the last two reports of each live node.
    double seconds_per_second = 0;
  };
  struct Node {
    std::string name;
    Role role{};
    Incarnation incarnation;
    std::uint64_t uptime_ms = 0;
  };

  /// Counters never go down, whatever nodes come and go. Gauges are those of the live nodes.
  std::map<Series, Number> numbers;
  std::map<Series, Distribution> distributions;
  std::vector<Node> nodes;  ///< The live ones, by role and name.
  /// Of the live workers that serve a task, the handler threads.
  std::map<std::string, double> threads_by_task;
  /// Series that nodes have reported and that are not here, since there are too many or they could
  /// be no metrics.
  std::uint64_t left_out = 0;

  /// The sum over all series of this name; with a label: over those that have it so.
  Number total(std::string_view name) const;
  Number total(std::string_view name, std::string_view label, std::string_view value) const;
  Distribution merged(std::string_view name) const;
  Distribution merged(std::string_view name, std::string_view label, std::string_view value) const;
  /// What belongs to each task, by the label `task`.
  std::map<std::string, Aggregate> by_task() const;
};

}  // namespace tempest::stats_node
