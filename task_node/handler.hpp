#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "task_node/delivery_context.hpp"
#include "task_node/execution.hpp"
#include "task_node/fusion.hpp"
#include "task_node/instance.hpp"
#include "task_node/plan.hpp"
#include "tempest/base/result.hpp"
#include "tempest/task.hpp"

namespace tempest::task_node {

/// One thread's instances of the served tasks, and the running of what the machine has assigned to
/// that thread. The boundary to user code: no exception passes it, and what comes out of it keeps
/// to the protocol's limits.
class Handler {
 public:
  /// Without `extend` nobody is told of what a task asks for while it runs.
  explicit Handler(Extend extend = {}) : extend_(std::move(extend)) {}
  Handler(const Handler&) = delete;
  Handler& operator=(const Handler&) = delete;

  /// Makes and opens an instance of each of the plan's tasks, in place of those before. The error
  /// names the task.
  Result<void> build(std::shared_ptr<const Plan> plan);
  /// What build() has made, as the machine needs to know it.
  std::vector<ServedTask> served() const;

  /// Handles the deliveries, and fills in the rest of the execution: begin(), then step() until it
  /// returns false, then end().
  void run(Execution& execution);

  void begin(Execution& execution);
  /// Makes the next call. False: there is none, since all deliveries have had theirs, the execution
  /// has been sealed (also for holding very large outputs: the rest goes back in line).
  bool step(Execution& execution);
  void end(Execution& execution);

 private:
  /// How far the execution at hand has come.
  struct Progress {
    Instance* instance = nullptr;
    std::size_t next = 0;     ///< The delivery to be handled next.
    std::size_t group = 1;    ///< So many calls are timed together.
    std::size_t untimed = 0;  ///< Calls since `timed_to`.
    TimePoint timed_to{};
  };

  Result<void> make(TaskId id, Instance& instance);
  DeliveryContext& context(std::size_t index);
  void prepare(DeliveryContext& context, const Instance& instance, Execution& execution);

  /// Reads the clock, and shares the time out among the calls since it was read last.
  void time_calls(Execution& execution);
  void run_one(Instance& instance, Execution& execution, std::size_t delivery, bool timed);
  Result<void> gather(Instance& instance, const Assigned& assigned, DeliveryContext& context);
  /// Handles `count` deliveries in one call; if the call fails as a whole, each in one of its own,
  /// so that only the message that is at fault fails.
  void run_batch(Instance& instance, Execution& execution, std::size_t first, std::size_t count);
  /// Returns the error of the call as a whole; otherwise each delivery has its outcome.
  Result<void> try_batch(Instance& instance, Execution& execution, std::size_t first,
                         std::size_t count);
  void collect_outputs(Execution& execution, std::size_t first_output);
  /// Lets no other call be begun once outputs take up very much.
  static void bound_outputs(Execution& execution);

  Extend extend_;
  std::shared_ptr<const Plan> plan_;
  std::vector<Instance> instances_;  ///< By task id.
  Fusion fusion_;
  Progress progress_;
  // Reused.
  std::vector<std::unique_ptr<DeliveryContext>> contexts_;
  std::vector<Context*> batch_contexts_;
  std::vector<Result<void>> results_;
  std::vector<Message> messages_;
  std::vector<std::string_view> origins_;
  std::vector<std::size_t> batch_deliveries_;
  std::vector<Emitted> kept_;
};

}  // namespace tempest::task_node
