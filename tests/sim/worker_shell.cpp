#include <deque>
#include <memory>
#include <utility>
#include <vector>

#include "shells.hpp"
#include "simulated_tasks.hpp"
#include "task_node/handler.hpp"
#include "task_node/plan.hpp"
#include "task_node/task_machine.hpp"
#include "world.hpp"

namespace tempest::sim {

namespace {

using task_node::BuildAnswer;
using task_node::Execution;

/// The machine and the real handlers; their threads (task_node/handler_pool.hpp) are simulated: a
/// handler's calls are made when an execution begins, and are known to the machine when the time
/// that they take is over.
class WorkerShell final : public Shell {
 public:
  WorkerShell(World& world, Host& host, unsigned number)
      : world_(world),
        host_(host),
        machine_({Role::task, host.name(), host.incarnation(), "sim"}, world.broker_endpoints(),
                 world.scenario().link,
                 {.threads = world.scenario().threads[number],
                  .drain_timeout = world.scenario().drain_timeout,
                  .window_bytes = world.scenario().worker_window_bytes},
                 world.random().next()) {
    for (unsigned i = 0; i < world.scenario().threads[number]; ++i) {
      threads_.push_back(std::make_unique<Thread>(*this));
    }
    plan_options_.tasks = world.scenario().tasks[number];
    if (world.scenario().fuses) plan_options_.fusing = task_node::Fusing::always;
    static_cast<void>(libraries_.add(step_library()));
  }

  void start(TimePoint now, link::Effects& effects) override { machine_.start(now, effects); }
  void receive(const link::FrameReceived& received, TimePoint now,
               link::Effects& effects) override {
    machine_.receive(received, now, effects);
  }
  void woken(TimePoint now, link::Effects& effects) override {
    for (const task_node::Extension& extension : extensions_) machine_.extend(extension, now);
    extensions_.clear();
    for (auto& execution : finished_) machine_.completed(std::move(execution), now, effects);
    finished_.clear();
    for (BuildAnswer& answer : answers_) machine_.built(std::move(answer), now, effects);
    answers_.clear();
  }
  void turn(TimePoint now, link::Effects& effects) override { machine_.turn(now, effects, work_); }
  void submit() override {
    for (const std::size_t thread : std::exchange(work_.replacements, {})) replace(thread);
    for (auto& execution : work_.executions) {
      Thread& thread = *threads_[execution->thread];
      thread.waiting.push_back(std::move(execution));
      if (!thread.running) begin(thread);
    }
    work_.executions.clear();
    if (auto request = std::exchange(work_.build, std::nullopt)) build(*request);
  }
  TimePoint next_turn() const override { return machine_.next_turn(); }
  void stop(bool at_once, TimePoint now, link::Effects& effects) override {
    machine_.stop(at_once, now, effects);
  }

  bool is_idle() const override { return leftovers().empty(); }
  std::string leftovers() const override {
    const auto& queue = machine_.queue();
    if (queue.queued() == 0 && queue.running() == 0) return {};
    return std::to_string(queue.queued()) + " queued, " + std::to_string(queue.running()) +
           " running";
  }

 private:
  /// A handler thread: its calls take simulated time, one after the other.
  struct Thread {
    explicit Thread(WorkerShell& shell)
        : handler([&shell](const task_node::Extension& extension) { shell.extend(extension); }) {}

    task_node::Handler handler;
    std::deque<std::unique_ptr<Execution>> waiting;
    std::unique_ptr<Execution> running;
    Duration handle_time{0};   ///< Of what runs, so far.
    bool is_replaced = false;  ///< It ends when its call does.
  };

  /// Within step(): at the moment to which the call has come.
  void extend(const task_node::Extension& extension) {
    asked_.emplace_back(Surroundings::current.elapsed, extension);
  }

  void begin(Thread& thread) {
    if (thread.waiting.empty()) return;
    thread.running = std::move(thread.waiting.front());
    thread.waiting.pop_front();
    thread.handle_time = Duration(0);
    host_.inside([&] { thread.handler.begin(*thread.running); });
    step(thread);
  }

  /// One call; what comes after it, comes when the time that it takes is over.
  void step(Thread& thread) {
    bool has_called = false;
    Duration takes{};
    host_.inside([&] {
      has_called = thread.handler.step(*thread.running);
      takes = Surroundings::current.elapsed;
    });
    if (!has_called) return finish(thread);
    for (const auto& [when, extension] : std::exchange(asked_, {})) {
      host_.later(when, [this, extension = extension] {
        extensions_.push_back(extension);
        host_.wake();
      });
    }
    // What went to Redis took a while, too.
    const std::uint64_t least_ns = world_.scenario().hangs_in_batches ? 1'000 : 20'000;
    takes += Duration(static_cast<Duration::rep>(least_ns + world_.random().below(25 * least_ns)));
    thread.handle_time += takes;
    host_.later(takes, [this, &thread] { step(thread); });
  }

  void finish(Thread& thread) {
    host_.inside([&] { thread.handler.end(*thread.running); });
    thread.running->handle_time = thread.handle_time;
    // Measured by the real clock, which a seed knows nothing of.
    for (auto& outcome : thread.running->outcomes) {
      if (outcome.handled_us > 0) outcome.handled_us = 17;
    }
    finished_.push_back(std::move(thread.running));
    if (thread.is_replaced) {
      for (auto& execution : thread.waiting) finished_.push_back(std::move(execution));
      thread.waiting.clear();
    }
    host_.wake();
    begin(thread);
  }

  void replace(std::size_t number) {
    threads_[number]->is_replaced = true;
    replaced_.push_back(std::move(threads_[number]));
    threads_[number] = std::make_unique<Thread>(*this);
    host_.inside([&] { static_cast<void>(threads_[number]->handler.build(plan_)); });
  }

  void build(const task_node::BuildRequest& request) {
    BuildAnswer answer{request.version, std::nullopt, {}};
    host_.inside([&] {
      auto plan = task_node::make_plan(request.version, request.text, plan_options_, libraries_);
      if (!plan) {
        answer.error = plan.error();
        return;
      }
      plan_ = *plan;
      for (auto& thread : threads_) {
        if (auto built = thread->handler.build(*plan); !built) answer.error = built.error();
      }
      answer.tasks = threads_.front()->handler.served();
    });
    auto shared = std::make_shared<BuildAnswer>(std::move(answer));
    host_.later(milliseconds(1 + world_.random().below(30)), [this, shared] {
      answers_.push_back(std::move(*shared));
      host_.wake();
    });
  }

  World& world_;
  Host& host_;
  task_node::TaskMachine machine_;
  task_node::PlanOptions plan_options_;
  runtime::TaskLibraries libraries_;
  task_node::Work work_;
  std::shared_ptr<const task_node::Plan> plan_;
  std::vector<std::unique_ptr<Thread>> threads_;
  std::vector<std::unique_ptr<Thread>> replaced_;
  std::vector<std::pair<Duration, task_node::Extension>> asked_;
  std::vector<task_node::Extension> extensions_;
  std::vector<std::unique_ptr<Execution>> finished_;
  std::vector<BuildAnswer> answers_;
};

}  // namespace

std::unique_ptr<Shell> make_worker_shell(World& world, Host& host, unsigned number) {
  return std::make_unique<WorkerShell>(world, host, number);
}

}  // namespace tempest::sim
