#include "task_node/handler.hpp"

#include <algorithm>
#include <cassert>
#include <utility>

#include "task_node/user_call.hpp"
#include "tempest/base/limits.hpp"
#include "tempest/runtime/clock.hpp"
#include "tempest/runtime/exit_guard.hpp"

namespace tempest::task_node {
namespace {

using Status = wire::Results::Status;

/// In larger batches reading the clock for each delivery would cost as much as handling it: groups
/// of this many are timed together.
constexpr std::size_t kTimedOneByOne = 32;
constexpr std::size_t kTimedTogether = 8;
/// A batch goes no further once its outputs take so much: many frames.
constexpr std::size_t kLargeOutputs = std::size_t{4} << 20;

/// Returns it as it goes to the coordinator, to which 0 would say that it was not measured.
std::uint32_t handled_us(Duration took) {
  const auto whole = std::chrono::ceil<std::chrono::microseconds>(took).count();
  return static_cast<std::uint32_t>(std::clamp<std::int64_t>(whole, 1, UINT32_MAX));
}

Outcome failed(const Error& error, Execution& execution) {
  const wire::Results::Failure failure = failure_of(error, execution.arena);
  Outcome outcome;
  outcome.status = failure.status;
  outcome.retry_after_ms = failure.retry_after_ms;
  outcome.reason = failure.reason;
  return outcome;
}

void note_times(Execution& execution, std::size_t first, std::size_t count, Duration took) {
  for (std::size_t i = first; i < first + count; ++i) {
    if (execution.deliveries[i].item->traced) execution.outcomes[i].handled_us = handled_us(took);
  }
}

}  // namespace

// --- Instances ---------------------------------------------------------------------------------

Result<void> Handler::build(std::shared_ptr<const Plan> plan) {
  instances_.clear();
  plan_ = std::move(plan);
  for (const TaskId id : plan_->tasks) {
    const auto index = static_cast<std::size_t>(id);
    if (instances_.size() <= index) instances_.resize(index + 1);
    Instance& instance = instances_[index];
    if (auto made = guarded([&] { return make(id, instance); }); !made) {
      instances_.clear();
      return made;
    }
  }
  fusion_.build(*plan_, instances_);
  return {};
}

Result<void> Handler::make(TaskId id, Instance& instance) {
  const TaskDefinition& definition = plan_->topology.tasks[static_cast<std::size_t>(id)];
  const runtime::InTask in_task(definition.name);
  auto task = plan_->create(definition);
  if (!task) return task.error();
  instance.task = std::move(*task);
  instance.definition = &definition;
  instance.id = id;
  instance.terminal = plan_->topology.graph.is_terminal(id);
  if (instance.task->batches() && definition.gather != dag::Gather::all) {
    instance.max_batch = std::clamp<std::size_t>(instance.task->max_batch(), 1, kMaxFrameItems);
  }
  return {};
}

std::vector<ServedTask> Handler::served() const {
  std::vector<ServedTask> tasks;
  for (const Instance& instance : instances_) {
    if (!instance.task) continue;
    tasks.push_back({instance.id, instance.definition->name,
                     instance.definition->grouping == dag::Grouping::key, instance.max_batch,
                     instance.definition->timeout, plan_->topology.failure.timeout,
                     instance.definition->uses == "sink"});
  }
  return tasks;
}

DeliveryContext& Handler::context(std::size_t index) {
  while (contexts_.size() <= index) contexts_.push_back(std::make_unique<DeliveryContext>());
  return *contexts_[index];
}

void Handler::prepare(DeliveryContext& context, const Instance& instance, Execution& execution) {
  const bool may_extend = extend_ && instance.definition->timeout > Duration::zero();
  context.begin({&execution,
                 &plan_->topology.graph,
                 instance.id,
                 instance.definition->name,
                 {},
                 instance.terminal ? &execution.dropped_outputs : nullptr,
                 may_extend ? &extend_ : nullptr});
}

// --- Running -----------------------------------------------------------------------------------

void Handler::run(Execution& execution) {
  const Instance& instance = instances_[static_cast<std::size_t>(execution.task)];
  const runtime::InTask in_task(instance.definition->name);
  begin(execution);
  while (step(execution)) {
  }
  end(execution);
}

void Handler::begin(Execution& execution) {
  Instance& instance = instances_[static_cast<std::size_t>(execution.task)];
  assert(instance.task);
  execution.started_at = runtime::monotonic_now();
  // All at once: what is sealed is read while more is filled in, so nothing may move.
  const std::size_t count = execution.deliveries.size();
  execution.outcomes.assign(count, {});
  progress_ = {.instance = &instance,
               .group = count <= kTimedOneByOne || execution.traced ? 1 : kTimedTogether,
               .timed_to = execution.started_at};
  if (instance.max_batch == 0) prepare(context(0), instance, execution);
}

bool Handler::step(Execution& execution) {
  Instance& instance = *progress_.instance;
  const std::size_t left = execution.deliveries.size() - progress_.next;
  if (left == 0) return false;
  const std::size_t first = progress_.next;
  if (instance.max_batch == 0) {
    if (!execution.claim(1)) return false;
    run_one(instance, execution, first, progress_.untimed == 0);
    progress_.next = first + 1;
    if (++progress_.untimed == progress_.group) time_calls(execution);
    return true;
  }
  const std::size_t count = std::min(instance.max_batch, left);
  if (!execution.claim(count)) return false;
  const TimePoint began = execution.traced ? runtime::monotonic_now() : TimePoint{};
  run_batch(instance, execution, first, count);
  // What each of a batch has taken is all of its call.
  if (execution.traced) note_times(execution, first, count, runtime::monotonic_now() - began);
  progress_.next = first + count;
  return true;
}

void Handler::end(Execution& execution) {
  if (progress_.instance->max_batch == 0) {
    if (progress_.untimed > 0) time_calls(execution);
    execution.handle_time = progress_.timed_to - execution.started_at;
    fusion_.report(execution);
    return;
  }
  execution.handle_time = runtime::monotonic_now() - execution.started_at;
  if (progress_.next == 0) return;
  const auto all = static_cast<std::int64_t>(progress_.next);
  execution.handle_times.record(execution.handle_time / all, progress_.next);
}

void Handler::time_calls(Execution& execution) {
  const TimePoint now = runtime::monotonic_now();
  const std::size_t count = std::exchange(progress_.untimed, 0);
  const Duration own =
      std::max(now - std::exchange(progress_.timed_to, now) - fusion_.take_spent(), Duration(1));
  const Duration mean = own / static_cast<std::int64_t>(count);
  execution.handle_times.record(mean, count);
  progress_.instance->learn(mean);
  const std::size_t last = progress_.next - 1;
  if (execution.deliveries[last].item->traced) {
    execution.outcomes[last].handled_us = handled_us(mean);
  }
}

void Handler::run_one(Instance& instance, Execution& execution, std::size_t delivery, bool timed) {
  const Assigned& assigned = execution.deliveries[delivery];
  const std::size_t first_output = execution.outputs.size();
  const Arena::Mark before = execution.arena.mark();
  DeliveryContext& seen = *contexts_.front();
  seen.next(delivery);
  Result<void> result = guarded([&] {
    return instance.definition->gather == dag::Gather::all
               ? gather(instance, assigned, seen)
               : instance.handle({assigned.parts->payload, assigned.parts->key}, seen);
  });
  if (!seen.violation().empty()) result = Error{ErrorCode::fail, seen.violation()};
  Outcome& outcome = execution.outcomes[delivery];
  if (!result) {
    execution.outputs.cut(first_output);
    execution.arena.release_to(before);
    outcome = failed(result.error(), execution);
    return;
  }
  const bool has_outputs = execution.outputs.size() > first_output;
  if (has_outputs) bound_outputs(execution);
  const bool is_watched = execution.unfused || assigned.item->traced;
  if (has_outputs && fusion_.starts_at(instance.id) && !assigned.item->alone && !is_watched) {
    fusion_.run(execution, first_output, before, timed);
  }
  outcome.first_output = static_cast<std::uint32_t>(first_output);
  outcome.output_count = static_cast<std::uint32_t>(execution.outputs.size() - first_output);
}

Result<void> Handler::gather(Instance& instance, const Assigned& assigned,
                             DeliveryContext& context) {
  messages_.clear();
  origins_.clear();
  for (std::uint32_t i = 0; i < assigned.item->part_count; ++i) {
    messages_.emplace_back(assigned.parts[i].payload, assigned.parts[i].key);
    origins_.push_back(origin_of(assigned.parts[i], plan_->topology.graph));
  }
  return instance.task->gather(messages_, origins_, context);
}

void Handler::run_batch(Instance& instance, Execution& execution, std::size_t first,
                        std::size_t count) {
  const Result<void> called = try_batch(instance, execution, first, count);
  if (called) return;
  if (count == 1) {
    execution.outcomes[first] = failed(called.error(), execution);
    return;
  }
  for (std::size_t i = first; i < first + count; ++i) run_batch(instance, execution, i, 1);
}

Result<void> Handler::try_batch(Instance& instance, Execution& execution, std::size_t first,
                                std::size_t count) {
  batch_deliveries_.clear();
  batch_contexts_.clear();
  messages_.clear();
  for (std::size_t i = first; i < first + count; ++i) {
    execution.outcomes[i] = {};
    const wire::Deliveries::Part& part = *execution.deliveries[i].parts;
    const Message message(part.payload, part.key);
    bool wanted = false;
    const Result<void> filtered = guarded([&]() -> Result<void> {
      wanted = instance.task->filter(message);
      return {};
    });
    if (!filtered) execution.outcomes[i] = failed(filtered.error(), execution);
    if (!wanted) continue;
    DeliveryContext& seen = context(batch_deliveries_.size());
    prepare(seen, instance, execution);
    seen.next(i);
    batch_deliveries_.push_back(i);
    batch_contexts_.push_back(&seen);
    messages_.push_back(message);
  }
  if (batch_deliveries_.empty()) return {};

  const std::size_t first_output = execution.outputs.size();
  Result<void> called = guarded([&]() -> Result<void> {
    results_ = instance.task->handle_batch(messages_, batch_contexts_);
    if (results_.size() == messages_.size()) return {};
    return Error{ErrorCode::retry, "handle_batch returned " + std::to_string(results_.size()) +
                                       " outcomes for " + std::to_string(messages_.size()) +
                                       " messages"};
  });
  if (!called) {
    execution.outputs.cut(first_output);
    return called;
  }
  for (std::size_t i = 0; i < batch_deliveries_.size(); ++i) {
    const std::string& violation = context(i).violation();
    if (!violation.empty()) {
      execution.outcomes[batch_deliveries_[i]] =
          failed(Error{ErrorCode::fail, violation}, execution);
    } else if (!results_[i]) {
      execution.outcomes[batch_deliveries_[i]] = failed(results_[i].error(), execution);
    }
  }
  collect_outputs(execution, first_output);
  bound_outputs(execution);
  return {};
}

void Handler::bound_outputs(Execution& execution) {
  if (execution.arena.bytes() > kLargeOutputs) execution.seal();
}

/// A task may emit in any order: puts what belongs to a delivery together, and leaves out what was
/// emitted for those that failed.
void Handler::collect_outputs(Execution& execution, std::size_t first_output) {
  kept_.clear();
  for (std::size_t i = first_output; i < execution.outputs.size(); ++i) {
    const Emitted& emitted = execution.outputs[i];
    if (execution.outcomes[emitted.delivery].status == Status::done) kept_.push_back(emitted);
  }
  std::stable_sort(kept_.begin(), kept_.end(),
                   [](const Emitted& a, const Emitted& b) { return a.delivery < b.delivery; });
  execution.outputs.cut(first_output);
  for (const Emitted& emitted : kept_) {
    Outcome& outcome = execution.outcomes[emitted.delivery];
    if (outcome.output_count++ == 0) {
      outcome.first_output = static_cast<std::uint32_t>(execution.outputs.size());
    }
    execution.outputs.push_back(emitted);
  }
}

}  // namespace tempest::task_node
