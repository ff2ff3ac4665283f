#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tempest/dag/graph.hpp"
#include "tempest/link/node.hpp"

namespace tempest::pipeline_node {

/// Attempts that failed and will be made again: nobody else tells of them, since the message may
/// yet be done. At `debug` each is told; at `info` the first of a kind, and then every ten seconds
/// how many more there were. A kind is a task and a reason, with numbers left out: "line 17" and
/// "line 18" are one. Bounded: kinds beyond kMostKinds of a task are told together.
class AttemptLog {
 public:
  static constexpr std::size_t kMostKinds = 32;

  struct Attempt {
    TaskId task{};
    std::uint32_t number = 1;
    std::string_view worker;
    std::string_view reason;
  };
  void add(const Attempt& attempt, const dag::Graph& graph, TimePoint now,
           std::vector<link::Notice>& notices);

  /// Tells the counts that are due. To be called at least at next_turn().
  void turn(TimePoint now, const dag::Graph& graph, std::vector<link::Notice>& notices);
  TimePoint next_turn() const { return tell_at_; }
  /// Tells what has not been told yet: at the end of the process.
  void finish(const dag::Graph& graph, std::vector<link::Notice>& notices);

 private:
  struct Kind {
    std::uint64_t untold = 0;
    std::string last_reason;
    std::string last_worker;
  };

  void tell(const dag::Graph& graph, std::vector<link::Notice>& notices);

  /// By task and reason.
  std::map<std::pair<TaskId, std::string>, Kind> kinds_;
  std::map<TaskId, std::size_t> kinds_of_task_;
  TimePoint tell_at_ = kNever;  ///< kNever: nothing is untold.
};

}  // namespace tempest::pipeline_node
