#include "task_node/handler.hpp"

#include <algorithm>
#include <cassert>
#include <exception>
#include <utility>

#include "tempest/base/limits.hpp"
#include "tempest/runtime/clock.hpp"

namespace tempest::task_node {
namespace {

using Status = wire::Results::Status;

/// In larger batches reading the clock for each delivery would cost as much as handling it: groups
/// of this many are timed together.
constexpr std::size_t kTimedOneByOne = 32;
constexpr std::size_t kTimedTogether = 8;

/// Calls user code, and makes an error of whatever it throws.
template <typename Call>
Result<void> guarded(Call call) {
  try {
    return call();
  } catch (const std::exception& exception) {
    return Error{ErrorCode::retry, exception.what()};
  } catch (...) {
    return Error{ErrorCode::retry, "the task threw something that is not a std::exception"};
  }
}

/// At most kMaxReasonBytes, and not within a UTF-8 character.
std::string_view cut_reason(std::string_view reason) {
  if (reason.size() <= kMaxReasonBytes) return reason;
  std::size_t end = kMaxReasonBytes;
  while (end > 0 && (static_cast<unsigned char>(reason[end]) & 0xc0) == 0x80) --end;
  return reason.substr(0, end);
}

std::string too_large(const char* what, std::size_t bytes, std::size_t allowed) {
  return std::string("an output's ") + what + " of " + std::to_string(bytes) +
         " bytes is larger than the " + std::to_string(allowed) + " allowed";
}

Outcome failed(const Error& error, Execution& execution) {
  const std::string_view reason = cut_reason(error.message);
  Outcome outcome;
  outcome.status = error.code == ErrorCode::fail ? Status::fail : Status::retry;
  if (error.retry_after > Duration::zero()) {
    // Rounded up: not before that time has passed, and zero would mean something else.
    outcome.retry_after_ms = static_cast<std::uint64_t>(
        std::chrono::ceil<std::chrono::milliseconds>(error.retry_after).count());
  }
  outcome.reason_at = execution.arena.size();
  outcome.reason_bytes = reason.size();
  execution.arena.append(reason);
  return outcome;
}

}  // namespace

// --- What a task sees of a delivery ------------------------------------------------------------

class Handler::DeliveryContext final : public Context {
 public:
  explicit DeliveryContext(const Extend& extend) : extend_(extend) {}

  void begin(Execution& execution, std::size_t delivery, const TaskDefinition& task,
             std::string_view origin, bool terminal) {
    execution_ = &execution;
    delivery_ = delivery;
    task_ = task.name;
    origin_ = origin;
    terminal_ = terminal;
    may_extend_ = task.timeout > Duration::zero();
    emitted_bytes_ = 0;
    emitted_count_ = 0;
    violation_.clear();
  }

  void emit(const Message& message, std::string_view output) override {
    if (!violation_.empty() || violates(message, output)) return;
    if (terminal_) {
      // Sending on what nobody takes would only cost.
      ++execution_->dropped_outputs;
      return;
    }
    const auto at = execution_->arena.size();
    execution_->arena.append(output).append(message.key).append(message.payload);
    execution_->outputs.push_back({static_cast<std::uint32_t>(delivery_),
                                   static_cast<std::uint32_t>(output.size()),
                                   static_cast<std::uint32_t>(message.key.size()),
                                   static_cast<std::uint32_t>(message.payload.size()), at});
  }

  void extend(Duration time) override {
    if (!may_extend_ || !extend_ || time <= Duration::zero()) return;
    const Assigned& assigned = execution_->deliveries[delivery_];
    extend_({assigned.item->id, assigned.lot, time});
  }

  std::string_view task() const override { return task_; }
  std::string_view origin() const override { return origin_; }
  std::uint32_t attempt() const override { return execution_->deliveries[delivery_].item->attempt; }

  /// Why the delivery fails whatever the task returned; empty: it does not.
  const std::string& violation() const { return violation_; }

 private:
  bool violates(const Message& message, std::string_view output) {
    emitted_bytes_ += message.payload.size() + message.key.size() + output.size();
    ++emitted_count_;
    if (message.payload.size() > kMaxPayloadBytes) {
      violation_ = too_large("payload", message.payload.size(), kMaxPayloadBytes);
    } else if (message.key.size() > kMaxPayloadBytes) {
      violation_ = too_large("key", message.key.size(), kMaxPayloadBytes);
    } else if (output.size() > kMaxNameBytes) {
      violation_ = too_large("name", output.size(), kMaxNameBytes);
    } else if (terminal_) {
      return false;
    } else if (emitted_count_ > kMaxFrameItems) {
      violation_ = "more than the " + std::to_string(kMaxFrameItems) +
                   " outputs allowed were emitted for one message";
    } else if (emitted_bytes_ > kMaxOutputBytes) {
      violation_ = "outputs of more than the " + std::to_string(kMaxOutputBytes) +
                   " bytes allowed were emitted for one message";
    }
    return !violation_.empty();
  }

  const Extend& extend_;
  Execution* execution_ = nullptr;
  std::size_t delivery_ = 0;
  std::string_view task_;
  std::string_view origin_;
  bool terminal_ = false;
  bool may_extend_ = false;
  std::size_t emitted_bytes_ = 0;
  std::size_t emitted_count_ = 0;
  std::string violation_;
};

Handler::Handler(Extend extend) : extend_(std::move(extend)) {}
Handler::~Handler() = default;

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
  return {};
}

Result<void> Handler::make(TaskId id, Instance& instance) {
  const TaskDefinition& definition = plan_->topology.tasks[static_cast<std::size_t>(id)];
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
                     instance.definition->grouping == dag::Grouping::key, instance.max_batch});
  }
  return tasks;
}

std::string_view Handler::origin(const wire::Deliveries::Part& part) const {
  const dag::Graph& graph = plan_->topology.graph;
  if (static_cast<std::size_t>(part.edge) >= graph.edge_count()) return "source";
  return graph.node(graph.edge(part.edge).from).name;
}

Handler::DeliveryContext& Handler::context(std::size_t index) {
  while (contexts_.size() <= index) {
    contexts_.push_back(std::make_unique<DeliveryContext>(extend_));
  }
  return *contexts_[index];
}

void Handler::begin(DeliveryContext& context, Instance& instance, Execution& execution,
                    std::size_t delivery) const {
  context.begin(execution, delivery, *instance.definition,
                origin(*execution.deliveries[delivery].parts), instance.terminal);
}

// --- Running -----------------------------------------------------------------------------------

void Handler::run(Execution& execution) {
  Instance& instance = instances_[static_cast<std::size_t>(execution.task)];
  assert(instance.task);
  execution.started_at = runtime::monotonic_now();
  execution.outcomes.clear();
  execution.outcomes.reserve(execution.deliveries.size());
  if (instance.max_batch > 0) {
    run_in_batches(instance, execution);
  } else {
    run_singly(instance, execution);
  }
}

void Handler::run_singly(Instance& instance, Execution& execution) {
  const bool gathers = instance.definition->gather == dag::Gather::all;
  const std::size_t count = execution.deliveries.size();
  const std::size_t group = count <= kTimedOneByOne ? 1 : kTimedTogether;
  DeliveryContext& seen = context(0);
  TimePoint timed_to = execution.started_at;
  std::size_t untimed = 0;
  for (std::size_t i = 0; i < count; ++i) {
    begin(seen, instance, execution, i);
    const std::size_t first_output = execution.outputs.size();
    const std::size_t arena_end = execution.arena.size();
    Result<void> result = guarded([&] {
      const Assigned& assigned = execution.deliveries[i];
      return gathers ? gather(instance, assigned, seen) : handle(instance, assigned, seen);
    });
    if (!seen.violation().empty()) result = Error{ErrorCode::fail, seen.violation()};
    if (result) {
      Outcome outcome;
      outcome.first_output = static_cast<std::uint32_t>(first_output);
      outcome.output_count = static_cast<std::uint32_t>(execution.outputs.size() - first_output);
      execution.outcomes.push_back(outcome);
    } else {
      execution.outputs.resize(first_output);
      execution.arena.resize(arena_end);
      execution.outcomes.push_back(failed(result.error(), execution));
    }
    if (++untimed == group || i + 1 == count) {
      const TimePoint now = runtime::monotonic_now();
      const Duration mean = (now - timed_to) / static_cast<std::int64_t>(untimed);
      execution.handle_times.record(mean, untimed);
      timed_to = now;
      untimed = 0;
    }
  }
  execution.handle_time = timed_to - execution.started_at;
}

Result<void> Handler::handle(Instance& instance, const Assigned& assigned,
                             DeliveryContext& context) {
  const Message message(assigned.parts->payload, assigned.parts->key);
  if (!instance.task->filter(message)) return {};
  return instance.task->handle(message, context);
}

Result<void> Handler::gather(Instance& instance, const Assigned& assigned,
                             DeliveryContext& context) {
  messages_.clear();
  origins_.clear();
  for (std::uint32_t i = 0; i < assigned.item->part_count; ++i) {
    messages_.emplace_back(assigned.parts[i].payload, assigned.parts[i].key);
    origins_.push_back(origin(assigned.parts[i]));
  }
  return instance.task->gather(messages_, origins_, context);
}

void Handler::run_in_batches(Instance& instance, Execution& execution) {
  execution.outcomes.resize(execution.deliveries.size());
  for (std::size_t first = 0; first < execution.deliveries.size(); first += instance.max_batch) {
    run_batch(instance, execution, first,
              std::min(instance.max_batch, execution.deliveries.size() - first));
  }
  execution.handle_time = runtime::monotonic_now() - execution.started_at;
  const auto count = static_cast<std::int64_t>(execution.deliveries.size());
  execution.handle_times.record(execution.handle_time / std::max<std::int64_t>(count, 1),
                                static_cast<std::uint64_t>(count));
}

void Handler::run_batch(Instance& instance, Execution& execution, std::size_t first,
                        std::size_t count) {
  batch_deliveries_.clear();
  batch_contexts_.clear();
  messages_.clear();
  for (std::size_t i = first; i < first + count; ++i) {
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
    begin(seen, instance, execution, i);
    batch_deliveries_.push_back(i);
    batch_contexts_.push_back(&seen);
    messages_.push_back(message);
  }
  if (batch_deliveries_.empty()) return;

  const std::size_t first_output = execution.outputs.size();
  const std::vector<Result<void>> results = handle_batch(instance);
  for (std::size_t i = 0; i < batch_deliveries_.size(); ++i) {
    const std::string& violation = context(i).violation();
    if (!violation.empty()) {
      execution.outcomes[batch_deliveries_[i]] =
          failed(Error{ErrorCode::fail, violation}, execution);
    } else if (!results[i]) {
      execution.outcomes[batch_deliveries_[i]] = failed(results[i].error(), execution);
    }
  }
  // The task may have emitted in any order: put what belongs to a delivery together, and leave out
  // what was emitted for those that failed.
  kept_.clear();
  for (std::size_t i = first_output; i < execution.outputs.size(); ++i) {
    const Emitted& emitted = execution.outputs[i];
    if (execution.outcomes[emitted.delivery].status == Status::done) kept_.push_back(emitted);
  }
  std::stable_sort(kept_.begin(), kept_.end(),
                   [](const Emitted& a, const Emitted& b) { return a.delivery < b.delivery; });
  execution.outputs.resize(first_output);
  for (const Emitted& emitted : kept_) {
    Outcome& outcome = execution.outcomes[emitted.delivery];
    if (outcome.output_count++ == 0) {
      outcome.first_output = static_cast<std::uint32_t>(execution.outputs.size());
    }
    execution.outputs.push_back(emitted);
  }
}

/// One result for each of messages_, whatever the task does.
std::vector<Result<void>> Handler::handle_batch(Instance& instance) {
  std::vector<Result<void>> results;
  const Result<void> called = guarded([&]() -> Result<void> {
    results = instance.task->handle_batch(messages_, batch_contexts_);
    if (results.size() == messages_.size()) return {};
    return Error{ErrorCode::retry, "handle_batch returned " + std::to_string(results.size()) +
                                       " outcomes for " + std::to_string(messages_.size()) +
                                       " messages"};
  });
  if (!called) results.assign(messages_.size(), called);
  return results;
}

}  // namespace tempest::task_node
