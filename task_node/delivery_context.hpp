#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "task_node/execution.hpp"
#include "tempest/dag/graph.hpp"
#include "tempest/task.hpp"

namespace tempest::task_node {

/// The most that one call may emit, all outputs together: what fits into one frame.
inline constexpr std::size_t kMaxOutputBytes = 48ULL << 20;

/// Told of a task's wish for more time, in the thread that runs it, before its call returns.
using Extend = std::function<void(const Extension&)>;

/// The name of the task that a message comes from, or "source".
std::string_view origin_of(const wire::Deliveries::Part& part, const dag::Graph& graph);

/// What a task sees of the delivery that it is called with: what it emits goes into the execution's
/// outputs, and is held to the protocol's limits.
class DeliveryContext final : public Context {
 public:
  struct Call {
    Execution* execution = nullptr;
    const dag::Graph* graph = nullptr;
    TaskId task_id{};
    std::string_view task;
    /// Where a fused call's message comes from; empty: where the delivery does.
    std::string_view fused_from;
    /// Where to count what is emitted by a task that no edge leaves. Null: some edge does.
    std::uint64_t* dropped_outputs = nullptr;
    /// Null: nothing limits its time.
    const Extend* extend = nullptr;
  };
  /// For all calls of one task in one execution; then next() before each.
  void begin(const Call& call);
  /// `delivery`: its place in the execution.
  void next(std::size_t delivery) {
    delivery_ = delivery;
    emitted_bytes_ = 0;
    emitted_count_ = 0;
    if (!violation_.empty()) violation_.clear();
  }

  void emit(const Message& message, std::string_view output) override;
  void extend(Duration time) override;
  std::string_view task() const override { return call_.task; }
  std::string_view origin() const override;
  std::uint32_t attempt() const override {
    return call_.fused_from.empty() ? assigned().item->attempt : 1;
  }

  /// Why the delivery fails whatever the task returned; empty: it does not.
  const std::string& violation() const { return violation_; }
  std::size_t emitted_count() const { return emitted_count_; }
  std::size_t emitted_bytes() const { return emitted_bytes_; }

 private:
  const Assigned& assigned() const { return call_.execution->deliveries[delivery_]; }
  bool violates(const Message& message, std::string_view output);
  /// Whether no edge takes what is emitted by this name, though the task has edges or gave a name.
  bool is_untaken(std::string_view output);

  Call call_;
  bool plain_is_untaken_ = false;
  std::string asked_output_;  ///< Of the last is_untaken(), of this task: asked with each message.
  bool asked_is_untaken_ = false;
  std::vector<EdgeId> edges_;  ///< Reused.
  std::size_t delivery_ = 0;
  std::size_t emitted_bytes_ = 0;
  std::size_t emitted_count_ = 0;
  std::string violation_;
};

}  // namespace tempest::task_node
