#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "tempest/link/node.hpp"
#include "tempest/tracking/tracker.hpp"
#include "tempest/wire/stats_builder.hpp"

namespace tempest::pipeline_node {

/// Which tasks gave no result in time, at which workers: told at the first, then now and then, with
/// how many there were since.
class TimeoutLog {
 public:
  void add(const tracking::TimedOutDelivery& timed_out, const dag::Graph& graph, TimePoint now,
           std::vector<link::Notice>& notices);
  void report(const dag::Graph& graph, wire::StatsBuilder& stats) const;

 private:
  struct Count {
    std::uint64_t total = 0;
    std::uint64_t untold = 0;
    TimePoint tell_at{};
  };

  /// By task and worker.
  std::map<std::pair<TaskId, std::string>, Count> counts_;
};

}  // namespace tempest::pipeline_node
