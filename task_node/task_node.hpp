#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "task_node/handler_pool.hpp"
#include "task_node/plan.hpp"
#include "task_node/task_machine.hpp"
#include "tempest/link/link.hpp"
#include "tempest/runtime/node_loop.hpp"
#include "tempest/runtime/task_libraries.hpp"

namespace tempest::task_node {

struct TaskNodeOptions {
  std::vector<std::string> brokers;
  link::Settings link;
  std::size_t threads = 1;
  Duration drain_timeout = std::chrono::seconds(8);
  Duration stall_after = std::chrono::seconds(10);
  PlanOptions plan;
};

/// A worker: the machine, and the threads that run its tasks.
class TaskNode final : public runtime::Node {
 public:
  /// `linked`: task libraries that are part of the program. `wake`: NodeLoop::wake() of the loop
  /// that runs this node; called from other threads, and for the last time before the destructor
  /// returns. The destructor waits for the handler threads (see stop_handlers()).
  TaskNode(link::Identity self, TaskNodeOptions options, runtime::TaskLibraries linked,
           std::function<void()> wake);

  void start(TimePoint now, link::Effects& effects) override;
  void receive(const link::FrameReceived& received, TimePoint now, link::Effects& effects) override;
  void woken(TimePoint now, link::Effects& effects) override;
  void turn(TimePoint now, link::Effects& effects) override;
  TimePoint next_turn() const override;
  std::unique_ptr<runtime::Call> take_call() override;
  bool is_call_thread_wanted() const override;
  void stop(bool at_once, TimePoint now, link::Effects& effects) override;
  void report(TimePoint now, wire::StatsReport& report) const override;

  /// After the loop has ended: waits so long at most for the threads to come out of their tasks.
  /// False: one has not. Then this object must not be destroyed: end the process with
  /// runtime::end_process().
  bool stop_handlers(Duration patience) { return pool_.stop(patience); }

  const TaskMachine& machine() const { return machine_; }

 private:
  void build(const BuildRequest& request, TimePoint now, link::Effects& effects);

  link::Identity self_;
  PlanOptions plan_options_;
  runtime::TaskLibraries linked_;
  TaskMachine machine_;
  Work work_;
  /// For the thread that may drive the loop, in the order in which it is to run them.
  std::deque<std::unique_ptr<Execution>> calls_;
  std::vector<std::unique_ptr<Execution>> finished_;
  std::vector<BuildAnswer> answers_;
  std::vector<Extension> extensions_;
  TimePoint started_{};
  Duration brief_call_;  ///< Calls up to this long are made by the thread that drives the loop.
  HandlerPool pool_;     ///< Last, so first to go: its threads read what the machine keeps.
};

}  // namespace tempest::task_node
