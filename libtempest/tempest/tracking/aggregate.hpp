#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "tempest/dag/graph.hpp"
#include "tempest/tracking/delivery_table.hpp"

namespace tempest::tracking {

/// What gathering tasks hold back: for each tree, how many deliveries of each task are unfinished,
/// and for each edge into a gathering task, what has come along it so far. A task's share of a tree
/// is let go when none of its ancestors has anything unfinished in that tree.
///
/// Held by edge, not by task, so that what two tasks send to a third is never mixed up. Costs
/// nothing in a topology without gathering tasks.
class Aggregate {
 public:
  explicit Aggregate(const dag::Graph& graph);

  bool active() const { return !gathering_.empty(); }
  /// True if messages by this edge are held. (A root has no ancestors to wait for.)
  bool holds(EdgeId edge) const;

  /// A tree begins in this place.
  void open(std::uint32_t tree);
  void add(std::uint32_t tree, TaskId task) { ++unfinished(tree, task); }
  void subtract(std::uint32_t tree, TaskId task, std::uint32_t count = 1) {
    unfinished(tree, task) -= count;
  }

  /// Detached becomes held.
  void hold(DeliveryTable& table, std::uint32_t tree, std::uint32_t delivery);
  /// Held becomes detached.
  void let_go(DeliveryTable& table, std::uint32_t tree, std::uint32_t delivery);

  /// How many deliveries of the tree the task holds that holds most of them.
  std::size_t most_held(std::uint32_t tree) const;

  /// A gathering task that holds something of this tree and whose ancestors are all done with it;
  /// in topological order.
  std::optional<TaskId> ready_task(std::uint32_t tree) const;
  /// Everything it holds of this tree, edge by edge, in the order of arrival; detached.
  std::vector<std::uint32_t> release(DeliveryTable& table, std::uint32_t tree, TaskId task);

 private:
  static constexpr std::uint16_t kNotHeld = 0xffff;

  std::uint32_t& unfinished(std::uint32_t tree, TaskId task) {
    return unfinished_[tree * task_count_ + static_cast<std::size_t>(task)];
  }
  DeliveryList& held(std::uint32_t tree, std::size_t place) {
    return held_[tree * held_edge_count_ + place];
  }
  const DeliveryList& held(std::uint32_t tree, std::size_t place) const {
    return held_[tree * held_edge_count_ + place];
  }

  struct GatheringTask {
    TaskId task{};
    std::vector<TaskId> ancestors;
    std::vector<std::size_t> places;  ///< Of its incoming edges, in the order of edges.
  };

  std::size_t task_count_;
  std::size_t held_edge_count_ = 0;
  std::vector<GatheringTask> gathering_;
  std::vector<std::uint16_t> place_of_edge_;
  std::vector<std::uint32_t> unfinished_;  ///< By tree and task.
  std::vector<DeliveryList> held_;         ///< By tree and held edge.
};

}  // namespace tempest::tracking
