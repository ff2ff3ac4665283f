#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tempest/base/ids.hpp"
#include "tempest/link/node.hpp"
#include "tempest/wire/stats_builder.hpp"

namespace tempest::task_node {

/// Messages that a task emitted and that no edge takes: by the output's name, or without one by a
/// task all of whose edges are by name. (What a task without edges emits without a name is dropped
/// by design, and is not among them.)
struct UntakenOutput {
  TaskId task{};
  std::string output;  ///< Empty: without a name.
  std::uint64_t count = 0;
};

/// Counts one more in a list that is short: names beyond the first few are counted together, as
/// "*".
void note_untaken(std::vector<UntakenOutput>& untaken, TaskId task, std::string_view output);

/// A worker's counts of them since its start, and who has been told: each pair of task and output
/// is said once. Bounded: what is beyond kMostPairs is counted under "*".
class UntakenOutputs {
 public:
  static constexpr std::size_t kMostPairs = 64;

  /// Adds what one execution has noted of `task`. Returns whether shown() has changed.
  bool add(std::string_view task, const UntakenOutput& untaken, link::Effects& effects);

  /// "nobody takes parse:error (100 and more), count:late (1)"; empty if there are none. For the
  /// node's state, which is told anew only when a count has one more digit.
  std::string shown() const;
  /// As tempest_task_outputs_untaken_total{task,output}.
  void report(wire::StatsBuilder& stats) const;

 private:
  std::map<std::pair<std::string, std::string>, std::uint64_t> counts_;
};

}  // namespace tempest::task_node
