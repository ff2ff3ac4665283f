#include "task_node/task_node.hpp"

#include <utility>

#include "tempest/runtime/node_program.hpp"

namespace tempest::task_node {

TaskNode::TaskNode(link::Identity self, TaskNodeOptions options, runtime::TaskLibraries linked,
                   std::function<void()> wake)
    : self_(std::move(self)),
      plan_options_(std::move(options.plan)),
      linked_(std::move(linked)),
      machine_(self_, std::move(options.brokers), options.link,
               TaskMachineOptions{.threads = options.threads,
                                  .drain_timeout = options.drain_timeout,
                                  .stall_after = options.stall_after},
               runtime::random_seed()),
      pool_(options.threads, std::move(wake)) {}

void TaskNode::start(TimePoint now, link::Effects& effects) {
  started_ = now;
  machine_.start(now, effects);
}

void TaskNode::receive(const link::FrameReceived& received, TimePoint now, link::Effects& effects) {
  machine_.receive(received, now, effects);
}

void TaskNode::woken(TimePoint now, link::Effects& effects) {
  pool_.collect(finished_, answers_, extensions_);
  for (const Extension& extension : extensions_) machine_.extend(extension, now);
  extensions_.clear();
  for (auto& execution : finished_) machine_.completed(std::move(execution), now, effects);
  for (BuildAnswer& answer : answers_) machine_.built(std::move(answer), now, effects);
  finished_.clear();
  answers_.clear();
}

void TaskNode::turn(TimePoint now, link::Effects& effects) {
  machine_.turn(now, effects, work_);
  for (auto& execution : work_.executions) pool_.execute(std::move(execution));
  work_.executions.clear();
  if (const auto request = std::exchange(work_.build, std::nullopt)) {
    build(*request, now, effects);
  }
}

void TaskNode::build(const BuildRequest& request, TimePoint now, link::Effects& effects) {
  auto plan = make_plan(request.version, request.text, plan_options_, linked_);
  if (plan) {
    pool_.build(std::move(*plan));
  } else {
    machine_.built({request.version, plan.error(), {}}, now, effects);
  }
}

TimePoint TaskNode::next_turn() const {
  return machine_.next_turn();
}

void TaskNode::stop(bool at_once, TimePoint now, link::Effects& effects) {
  machine_.stop(at_once, now, effects);
}

void TaskNode::report(TimePoint now, wire::StatsReport& report) const {
  link::identify(self_, started_, now, report);
  machine_.report(report);
}

}  // namespace tempest::task_node
