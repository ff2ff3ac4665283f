#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "task_node/delivery_context.hpp"
#include "task_node/execution.hpp"
#include "task_node/instance.hpp"
#include "task_node/plan.hpp"

namespace tempest::task_node {

/// **Fused** tasks: what a task emits is given at once, in the same thread, to the next task where
/// that is served here too, instead of by way of the coordinator. The coordinator sees one delivery
/// and its result: done, with what the whole subtree has left to do. So nothing is promised less:
/// the delivery is not over before its subtree is handled or handed on, and if the worker dies, all
/// of it is done again.
///
/// An edge is fused if it leads to a task grouped by shuffle that takes messages one by one and
/// gathers nothing, if neither end has a timeout (a timeout is a delivery's own), and while the
/// task is quick: then a delivery of its own would cost more than spreading it could gain. A slow
/// one goes by the coordinator, to whichever worker is free.
///
/// A fused call that fails has used up its first attempt: it goes to the coordinator as an output
/// that has failed, and comes back as a delivery of its own. One delivery that is to run alone is
/// not fused, so that what kills its worker is known by its task.
class Fusion {
 public:
  /// A task whose messages take longer than this on average is left to the coordinator.
  static constexpr double kQuickNs = 50e3;
  /// No more is fused of a delivery once it has so many outputs, or so large ones: what fits into a
  /// frame must remain so.
  static constexpr std::size_t kMostOutputs = 4'096;
  static constexpr std::size_t kMostBytes = 256ULL << 10;
  /// Nor once fused calls have made so many outputs of it, or such large ones: each may be left to
  /// kMostEdges tasks, beside what the delivery itself has emitted (kMaxOutputBytes).
  static constexpr std::size_t kMostMadeOutputs = 16'384;
  static constexpr std::size_t kMostMadeBytes = 1ULL << 20;
  /// A task with more ways to go on is not fused with what comes after it.
  static constexpr std::size_t kMostEdges = 8;

  /// Finds out which edges can be fused. `instances` (by task id) must outlive this.
  void build(const Plan& plan, std::vector<Instance>& instances);

  /// Whether what this task emits may go on here.
  bool starts_at(TaskId task) const { return starts_[static_cast<std::size_t>(task)]; }

  /// A delivery of a task at which fusion starts has succeeded, with the outputs from
  /// `first_output` on, taken from the arena since `before`: runs what can be run here and now, and
  /// leaves the outputs that remain. `timed`: each call is timed (which costs as much as a quick
  /// call).
  void run(Execution& execution, std::size_t first_output, const Arena::Mark& before, bool timed);

  /// How long fused calls have taken since this was last asked, by what is known of them.
  Duration take_spent();
  /// Puts what fused tasks have done since the last time into the execution.
  void report(Execution& execution);

 private:
  /// What a fused task has done in this execution.
  struct Tally {
    FusedTask done;
    std::uint64_t untimed = 0;  ///< Calls since the last that was timed.
  };

  bool can_run(EdgeId edge) const;
  void go_on(Execution& execution, const Emitted& output, TaskId root);
  void run_at(EdgeId edge, Execution& execution, const Emitted& input);
  Result<void> call(Instance& instance, const Emitted& input);
  void leave(const Emitted& output, EdgeId edge, std::uint32_t failure);
  Tally& tally(TaskId task) { return tallies_[static_cast<std::size_t>(task)]; }

  const Plan* plan_ = nullptr;
  std::vector<Instance>* instances_ = nullptr;
  std::vector<bool> starts_;    ///< By task.
  std::vector<bool> fused_;     ///< By edge.
  std::vector<Tally> tallies_;  ///< By task.
  double spent_ns_ = 0;

  // Of one delivery.
  bool timed_ = false;
  std::size_t outputs_seen_ = 0;
  std::size_t bytes_seen_ = 0;
  std::size_t made_outputs_ = 0;
  std::size_t made_bytes_ = 0;
  std::vector<Emitted> left_;
  std::vector<EdgeId> edges_;
  DeliveryContext context_;
};

}  // namespace tempest::task_node
