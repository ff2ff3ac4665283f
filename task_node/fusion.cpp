#include "task_node/fusion.hpp"

#include <algorithm>
#include <utility>

#include "task_node/user_call.hpp"
#include "tempest/runtime/clock.hpp"
#include "tempest/runtime/exit_guard.hpp"

namespace tempest::task_node {
namespace {

using Status = wire::Results::Status;

std::size_t index(TaskId task) {
  return static_cast<std::size_t>(task);
}

/// Whether a task may have a part in a fusion, as its first or as a later one.
bool may_be_part(const Plan& plan, const Instance& instance) {
  return instance.task && instance.max_batch == 0 &&
         instance.definition->timeout == Duration::zero() &&
         plan.topology.graph.outgoing(instance.id).size() <= Fusion::kMostEdges;
}

bool takes_at_once(const Instance& instance) {
  return instance.definition->grouping == dag::Grouping::shuffle &&
         instance.definition->gather == dag::Gather::none;
}

}  // namespace

void Fusion::build(const Plan& plan, std::vector<Instance>& instances) {
  const dag::Graph& graph = plan.topology.graph;
  plan_ = &plan;
  instances_ = &instances;
  starts_.assign(graph.task_count(), false);
  fused_.assign(graph.edge_count(), false);
  tallies_.assign(graph.task_count(), {});
  for (std::size_t i = 0; i < tallies_.size(); ++i) {
    tallies_[i].done.task = TaskId{static_cast<std::uint16_t>(i)};
  }
  if (plan.fusing == Fusing::never) return;
  for (std::size_t i = 0; i < graph.edge_count(); ++i) {
    const dag::Edge& edge = graph.edge(EdgeId{static_cast<std::uint16_t>(i)});
    if (index(edge.from) >= instances.size() || index(edge.to) >= instances.size()) continue;
    const Instance& to = instances[index(edge.to)];
    if (!may_be_part(plan, instances[index(edge.from)]) || !may_be_part(plan, to)) continue;
    fused_[i] = takes_at_once(to);
    if (fused_[i]) starts_[index(edge.from)] = true;
  }
}

void Fusion::run(Execution& execution, std::size_t first_output, const Arena::Mark& before,
                 bool timed) {
  timed_ = timed;
  outputs_seen_ = 0;
  bytes_seen_ = 0;
  made_outputs_ = 0;
  made_bytes_ = 0;
  left_.clear();
  // Calls add to the outputs, so that this goes on until the subtree has no more to do here.
  for (std::size_t at = first_output; at < execution.outputs.size(); ++at) {
    const Emitted output = execution.outputs[at];
    ++outputs_seen_;
    bytes_seen_ += output.bytes();
    go_on(execution, output, execution.task);
  }
  execution.outputs.cut(first_output);
  if (left_.empty()) {
    execution.arena.release_to(before);
  } else {
    execution.outputs.append(left_.begin(), left_.end());
  }
}

bool Fusion::can_run(EdgeId edge) const {
  const auto at = static_cast<std::size_t>(edge);
  if (!fused_[at] || outputs_seen_ > kMostOutputs || bytes_seen_ > kMostBytes) return false;
  if (made_outputs_ > kMostMadeOutputs || made_bytes_ > kMostMadeBytes) return false;
  const TaskId to = plan_->topology.graph.edge(edge).to;
  return plan_->fusing == Fusing::always || (*instances_)[index(to)].mean_ns < kQuickNs;
}

void Fusion::go_on(Execution& execution, const Emitted& output, TaskId root) {
  const std::span<const EdgeId> edges =
      plan_->topology.graph.edges_for(output.from, output.name(), edges_);
  const bool goes_on =
      std::any_of(edges.begin(), edges.end(), [this](EdgeId edge) { return can_run(edge); });
  if (output.from == root && !goes_on) {
    left_.push_back(output);  // By its name, as if nothing had been fused.
    return;
  }
  // The coordinator, which counts outputs by their names, does not see this one.
  FusedTask& from = tally(output.from).done;
  ++from.outputs;
  if (edges.empty()) ++from.unrouted_outputs;
  for (const EdgeId edge : edges) {
    if (can_run(edge)) {
      run_at(edge, execution, output);
    } else {
      leave(output, edge, wire::Results::kNotFailed);
    }
  }
}

void Fusion::leave(const Emitted& output, EdgeId edge, std::uint32_t failure) {
  Emitted& left = left_.emplace_back(output);
  left.edge = edge;
  left.failure = failure;
}

void Fusion::run_at(EdgeId edge, Execution& execution, const Emitted& input) {
  const dag::Edge& way = plan_->topology.graph.edge(edge);
  Instance& instance = (*instances_)[index(way.to)];
  FusedTask& done = tally(way.to).done;
  const std::size_t first_output = execution.outputs.size();
  const Arena::Mark before = execution.arena.mark();
  context_.begin({&execution, &plan_->topology.graph, way.to, instance.definition->name,
                  (*instances_)[index(way.from)].definition->name,
                  instance.terminal ? &done.dropped_outputs : nullptr});
  context_.next(input.delivery);
  const Result<void> result = call(instance, input);

  const bool too_much =
      context_.emitted_count() > kMostOutputs || context_.emitted_bytes() > kMostBytes;
  if (result && context_.violation().empty() && !(too_much && !instance.terminal)) {
    done.count(Status::done);
    if (!instance.terminal) {
      made_outputs_ += context_.emitted_count();
      made_bytes_ += context_.emitted_bytes();
    }
    return;
  }
  execution.outputs.cut(first_output);
  execution.arena.release_to(before);
  if (result) {
    // Not for here: a delivery of its own may emit more, and is told if that is too much as well.
    if (too_much) fused_[static_cast<std::size_t>(edge)] = false;
    leave(input, edge, wire::Results::kNotFailed);
    return;
  }
  leave(input, edge, static_cast<std::uint32_t>(execution.failures.size()));
  execution.failures.push_back(failure_of(result.error(), execution.arena));
  made_bytes_ += execution.failures.back().reason.size();
  done.count(execution.failures.back().status);
}

Result<void> Fusion::call(Instance& instance, const Emitted& input) {
  Tally& tally = this->tally(instance.id);
  const bool timed = timed_ || instance.mean_ns == 0;
  const TimePoint began = timed ? runtime::monotonic_now() : TimePoint{};
  const Message message(input.payload(), input.key());
  const runtime::InTask in_task(instance.definition->name);
  Result<void> result = guarded([&] { return instance.handle(message, context_); });
  if (timed) {
    // At least 1 ns: zero would say that it is not known.
    const Duration taken = std::max(runtime::monotonic_now() - began, Duration(1));
    instance.learn(taken);
    tally.done.handle_times.record(taken, tally.untimed + 1);
    tally.untimed = 0;
    spent_ns_ += static_cast<double>(taken.count());
  } else {
    ++tally.untimed;
    spent_ns_ += instance.mean_ns;
  }
  return result;
}

Duration Fusion::take_spent() {
  return Duration(static_cast<Duration::rep>(std::exchange(spent_ns_, 0)));
}

void Fusion::report(Execution& execution) {
  for (std::size_t i = 0; i < tallies_.size(); ++i) {
    Tally& tally = tallies_[i];
    if (tally.untimed > 0) {
      const double mean_ns = (*instances_)[i].mean_ns;
      tally.done.handle_times.record(Duration(static_cast<Duration::rep>(mean_ns)), tally.untimed);
      tally.untimed = 0;
    }
    if (tally.done.outputs == 0 && tally.done.handle_times.count() == 0) continue;
    execution.fused.push_back(tally.done);
    tally.done = {tally.done.task, {}, 0, 0, 0, {}};
  }
}

}  // namespace tempest::task_node
