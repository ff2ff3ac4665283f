#include "tempest/tracking/aggregate.hpp"

#include <algorithm>

namespace tempest::tracking {

Aggregate::Aggregate(const dag::Graph& graph)
    : task_count_(graph.task_count()), place_of_edge_(graph.edge_count(), kNotHeld) {
  for (const TaskId task : graph.gathering()) {
    GatheringTask gathering{task, {}, {}};
    for (std::size_t i = 0; i < graph.edge_count(); ++i) {
      const EdgeId edge{static_cast<std::uint16_t>(i)};
      if (graph.edge(edge).to != task) continue;
      place_of_edge_[i] = static_cast<std::uint16_t>(held_edge_count_);
      gathering.places.push_back(held_edge_count_++);
    }
    for (std::size_t i = 0; i < task_count_; ++i) {
      const TaskId other{static_cast<std::uint16_t>(i)};
      if (graph.is_ancestor(other, task)) gathering.ancestors.push_back(other);
    }
    if (!gathering.places.empty()) gathering_.push_back(std::move(gathering));
  }
}

bool Aggregate::holds(EdgeId edge) const {
  return edge != kNoEdge && place_of_edge_[static_cast<std::size_t>(edge)] != kNotHeld;
}

void Aggregate::open(std::uint32_t tree) {
  if (!active()) return;
  const std::size_t trees = std::size_t{tree} + 1;
  if (unfinished_.size() < trees * task_count_) {
    unfinished_.resize(trees * task_count_);
    held_.resize(trees * held_edge_count_);
  }
  std::fill_n(unfinished_.begin() + static_cast<std::ptrdiff_t>(tree * task_count_), task_count_,
              0U);
  std::fill_n(held_.begin() + static_cast<std::ptrdiff_t>(tree * held_edge_count_),
              held_edge_count_, DeliveryList{});
}

void Aggregate::hold(DeliveryTable& table, std::uint32_t tree, std::uint32_t delivery) {
  const std::size_t edge = static_cast<std::size_t>(table.at(delivery).edge);
  table.push_back(held(tree, place_of_edge_[edge]), delivery, DeliveryState::held);
}

void Aggregate::let_go(DeliveryTable& table, std::uint32_t tree, std::uint32_t delivery) {
  const std::size_t edge = static_cast<std::size_t>(table.at(delivery).edge);
  table.remove(held(tree, place_of_edge_[edge]), delivery);
}

std::size_t Aggregate::most_held(std::uint32_t tree) const {
  std::size_t most = 0;
  for (const GatheringTask& gathering : gathering_) {
    std::size_t count = 0;
    for (const std::size_t place : gathering.places) count += held(tree, place).size;
    most = std::max(most, count);
  }
  return most;
}

std::optional<TaskId> Aggregate::ready_task(std::uint32_t tree) const {
  for (const GatheringTask& gathering : gathering_) {
    const bool has_some =
        std::any_of(gathering.places.begin(), gathering.places.end(),
                    [&](std::size_t place) { return !held(tree, place).empty(); });
    if (!has_some) continue;
    const bool ancestors_done =
        std::all_of(gathering.ancestors.begin(), gathering.ancestors.end(), [&](TaskId ancestor) {
          return unfinished_[tree * task_count_ + static_cast<std::size_t>(ancestor)] == 0;
        });
    if (ancestors_done) return gathering.task;
  }
  return std::nullopt;
}

std::vector<std::uint32_t> Aggregate::release(DeliveryTable& table, std::uint32_t tree,
                                              TaskId task) {
  std::vector<std::uint32_t> released;
  for (const GatheringTask& gathering : gathering_) {
    if (gathering.task != task) continue;
    for (const std::size_t place : gathering.places) {
      DeliveryList& list = held(tree, place);
      while (!list.empty()) {
        const std::uint32_t delivery = list.head;
        table.remove(list, delivery);
        released.push_back(delivery);
      }
    }
  }
  return released;
}

}  // namespace tempest::tracking
