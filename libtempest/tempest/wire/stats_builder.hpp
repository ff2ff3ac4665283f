#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tempest/base/histogram.hpp"
#include "tempest/wire/frames.hpp"

namespace tempest::wire {

/// Adds a node's numbers to its report, one line each.
class StatsBuilder {
 public:
  explicit StatsBuilder(StatsReport& report) : report_(report) {}

  /// What follows is of this task.
  void for_task(std::string_view name) { labels_ = {{"task", std::string(name)}}; }

  void counter(const char* name, std::uint64_t value) {
    report_.numbers.push_back({name, labels_, static_cast<double>(value), true});
  }
  /// With one more label.
  void counter(const char* name, const char* label, std::string value_of_label,
               std::uint64_t value) {
    auto labels = labels_;
    labels.push_back({label, std::move(value_of_label)});
    report_.numbers.push_back({name, std::move(labels), static_cast<double>(value), true});
  }
  void gauge(const char* name, double value) {
    report_.numbers.push_back({name, labels_, value, false});
  }
  void gauge(const char* name, std::size_t value) { gauge(name, static_cast<double>(value)); }
  void distribution(const char* name, const Histogram& histogram) {
    report_.distributions.push_back({name, labels_, histogram});
  }

 private:
  StatsReport& report_;
  std::vector<StatsReport::Label> labels_;
};

}  // namespace tempest::wire
