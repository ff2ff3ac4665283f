#include "task_node/task_node.hpp"

#include <utility>

#include "tempest/runtime/node_program.hpp"

namespace tempest::task_node {

namespace {

/// The handler thread that may drive the loop: the first, to which a single delivery goes.
constexpr std::size_t kCallThread = 0;
/// In place of Call::kBrief where there are no other handlers to give work to: the loop would only
/// have the next work ready.
constexpr Duration kBriefCallOfOnlyThread = std::chrono::microseconds(250);

/// An execution for that thread.
class HandlerCall final : public runtime::Call {
 public:
  HandlerCall(HandlerPool& pool, std::unique_ptr<Execution> execution, Duration brief)
      : pool_(pool), execution_(std::move(execution)), brief_(brief) {}

  bool is_brief() const override {
    return execution_->expected_time > Duration::zero() && execution_->expected_time <= brief_;
  }
  bool is_thread_free() const override { return pool_.is_free(kCallThread); }
  void make() override { pool_.run_here(std::move(execution_)); }
  void send(std::function<void()> then) override {
    pool_.execute(std::move(execution_), std::move(then));
  }

 private:
  HandlerPool& pool_;
  std::unique_ptr<Execution> execution_;
  Duration brief_;
};

}  // namespace

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
      brief_call_(options.threads == 1 ? kBriefCallOfOnlyThread : runtime::Call::kBrief),
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
  for (const std::size_t thread : work_.replacements) pool_.replace(thread);
  work_.replacements.clear();
  for (auto& execution : work_.executions) {
    if (execution->thread == kCallThread) {
      calls_.push_back(std::move(execution));
    } else {
      pool_.execute(std::move(execution));
    }
  }
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

std::unique_ptr<runtime::Call> TaskNode::take_call() {
  if (calls_.empty()) return nullptr;
  auto call = std::make_unique<HandlerCall>(pool_, std::move(calls_.front()), brief_call_);
  calls_.pop_front();
  return call;
}

bool TaskNode::is_call_thread_wanted() const {
  return pool_.is_wanted(kCallThread);
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
