#include "cli/case_run.hpp"

#include <span>
#include <utility>

#include "task_node/handler.hpp"

namespace tempest::cli {
namespace {

using task_node::Execution;
using task_node::Handler;
using Status = wire::Results::Status;

/// In place of a sink.
class TakingTask : public Task {
 public:
  Result<void> handle(const Message& /*message*/, Context& /*context*/) override { return {}; }
};

/// A message on its way to a task.
struct Arrival {
  EdgeId edge = kNoEdge;
  std::string key;
  std::string payload;
};

/// A handler's call for the deliveries of one task.
class Call {
 public:
  Call(TaskId task, std::uint32_t attempt) {
    execution_.task = task;
    attempt_ = attempt;
  }

  /// One delivery of these messages, which must outlive the call.
  void add(const Arrival* arrivals, std::size_t count) {
    auto delivery = std::make_unique<Delivery>();
    delivery->item.task = execution_.task;
    delivery->item.attempt = attempt_;
    delivery->item.part_count = static_cast<std::uint32_t>(count);
    for (std::size_t i = 0; i < count; ++i) {
      delivery->parts.push_back({arrivals[i].edge, arrivals[i].key, arrivals[i].payload});
    }
    execution_.deliveries.push_back({&delivery->item, delivery->parts.data(), 0});
    deliveries_.push_back(std::move(delivery));
  }

  Execution& run(Handler& handler) {
    handler.run(execution_);
    return execution_;
  }

 private:
  struct Delivery {
    wire::Deliveries::Item item;
    std::vector<wire::Deliveries::Part> parts;
  };

  std::vector<std::unique_ptr<Delivery>> deliveries_;
  Execution execution_;
  std::uint32_t attempt_ = 1;
};

std::string kind_of(const task_node::Outcome& outcome) {
  if (outcome.status == Status::unavailable) return "unavailable";
  return outcome.status == Status::fail ? "fail" : "retry";
}

/// One input's way through all tasks.
class Passage {
 public:
  Passage(const Topology& topology, Handler& handler, CaseResult& result)
      : topology_(topology), handler_(handler), result_(result), inboxes_(topology.tasks.size()) {}

  void run(const CaseMessage& input) {
    for (const TaskId task : topology_.graph.roots()) {
      inbox(task).push_back({kNoEdge, input.key.value_or(""), input.payload});
    }
    // With every task after all that comes before it, what a task gathers is complete.
    for (const TaskId task : topology_.graph.topological_order()) {
      if (!inbox(task).empty() && !run_task(task)) return;
    }
  }

 private:
  std::vector<Arrival>& inbox(TaskId task) { return inboxes_[static_cast<std::size_t>(task)]; }
  const TaskDefinition& definition(TaskId task) const {
    return topology_.tasks[static_cast<std::size_t>(task)];
  }

  /// False: the message has failed, and what it gave rise to is given up.
  bool run_task(TaskId task) {
    const std::vector<Arrival> arrivals = std::move(inbox(task));
    for (const Arrival& arrival : arrivals) {
      result_.reached[definition(task).name].push_back({arrival.payload, arrival.key, {}});
    }
    if (definition(task).gather == dag::Gather::all) {
      return run_deliveries(task, {{arrivals.data(), arrivals.size()}});
    }
    std::vector<std::span<const Arrival>> deliveries;
    for (const Arrival& arrival : arrivals) deliveries.emplace_back(&arrival, 1);
    return run_deliveries(task, std::move(deliveries));
  }

  bool run_deliveries(TaskId task, std::vector<std::span<const Arrival>> deliveries) {
    const FailureRule rule = topology_.failure.rule(false);
    const std::uint32_t attempts = rule.policy == FailurePolicy::retry ? rule.max_attempts : 1;
    for (std::uint32_t attempt = 1; !deliveries.empty(); ++attempt) {
      Call call(task, attempt);
      for (const auto& delivery : deliveries) call.add(delivery.data(), delivery.size());
      const Execution& done = call.run(handler_);
      std::vector<std::span<const Arrival>> again;
      for (std::size_t i = 0; i < deliveries.size(); ++i) {
        const task_node::Outcome& outcome = done.outcomes[i];
        if (outcome.status == Status::done) {
          route(task, done, outcome);
        } else if (outcome.status == Status::retry && attempt < attempts) {
          again.push_back(deliveries[i]);
        } else {
          result_.failures.push_back(
              {definition(task).name, kind_of(outcome), std::string(outcome.reason)});
          if (rule.policy != FailurePolicy::best_effort) return false;
        }
      }
      deliveries = std::move(again);
    }
    return true;
  }

  void route(TaskId task, const Execution& done, const task_node::Outcome& outcome) {
    for (std::uint32_t i = 0; i < outcome.output_count; ++i) {
      const auto output = done.output(done.outputs[outcome.first_output + i]);
      std::vector<EdgeId> room;
      for (const EdgeId edge : topology_.graph.edges_for(task, output.output, room)) {
        inbox(topology_.graph.edge(edge).to)
            .push_back({edge, std::string(output.key), std::string(output.payload)});
      }
    }
  }

  const Topology& topology_;
  Handler& handler_;
  CaseResult& result_;
  std::vector<std::vector<Arrival>> inboxes_;
};

void run_alone(TaskId task, const TestCase& test, Handler& handler, CaseResult& result,
               bool gathers) {
  std::vector<Arrival> arrivals;
  for (const CaseMessage& input : test.inputs) {
    arrivals.push_back({kNoEdge, input.key.value_or(""), input.payload});
  }
  if (arrivals.empty()) return;
  Call call(task, 1);
  if (gathers) {
    call.add(arrivals.data(), arrivals.size());
  } else {
    for (const Arrival& arrival : arrivals) call.add(&arrival, 1);
  }
  const Execution& done = call.run(handler);
  for (const task_node::Outcome& outcome : done.outcomes) {
    if (outcome.status != Status::done) {
      result.failures.push_back({test.task, kind_of(outcome), std::string(outcome.reason)});
      continue;
    }
    for (std::uint32_t i = 0; i < outcome.output_count; ++i) {
      const auto output = done.output(done.outputs[outcome.first_output + i]);
      result.outputs.push_back(
          {std::string(output.payload), std::string(output.key), std::string(output.output)});
    }
  }
}

}  // namespace

Result<CaseResult> run_case(const TestCase& test, const task_node::Plan& plan) {
  auto own = std::make_shared<task_node::Plan>(plan);
  const TaskId task = test.task.empty() ? kNoTask : plan.topology.graph.find(test.task);
  if (task != kNoTask) own->tasks = {task};
  Handler handler;
  if (auto built = handler.build(own); !built) return built.error();
  CaseResult result;
  if (task != kNoTask) {
    const auto& definition = own->topology.tasks[static_cast<std::size_t>(task)];
    run_alone(task, test, handler, result, definition.gather == dag::Gather::all);
    return result;
  }
  for (const CaseMessage& input : test.inputs) Passage(own->topology, handler, result).run(input);
  return result;
}

Result<std::shared_ptr<const task_node::Plan>> plan_of(const Topology& topology,
                                                       const runtime::LibraryPlaces& libraries) {
  auto made = task_node::make_plan(topology.version, topology.text, {{}, libraries},
                                   runtime::TaskLibraries{});
  if (!made) return made.error();
  auto plan = std::make_shared<task_node::Plan>(**made);
  plan->create = [create = plan->create](const TaskDefinition& definition) {
    if (definition.uses != "sink") return create(definition);
    return Result<std::unique_ptr<Task>>(std::make_unique<TakingTask>());
  };
  return std::shared_ptr<const task_node::Plan>(std::move(plan));
}

}  // namespace tempest::cli
