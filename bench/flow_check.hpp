#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "bench/workload.hpp"
#include "tempest/base/result.hpp"

namespace tempest::bench {

/// What a source itself was asked for.
struct SourceCounts {
  std::uint64_t given = 0;  ///< Messages.
  std::uint64_t acked = 0;
};

/// What the nodes said of themselves at their end.
struct NodeCounts {
  std::uint64_t read = 0;  ///< Messages, as the source node counts them.
  std::uint64_t acked = 0;
  std::vector<std::uint64_t> handled;        ///< For each of tasks_of(): done by a task.
  std::optional<std::uint64_t> frames_sent;  ///< By all nodes.
  std::optional<std::uint64_t> source_frames_sent;
};

/// That everything given was read, handled by each task as often as it should, and acked. Errors:
/// `fail`, with the numbers.
Result<void> check_flow(const Settings& settings, const SourceCounts& source,
                        const NodeCounts& nodes);

}  // namespace tempest::bench
