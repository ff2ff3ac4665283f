#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <vector>

#include "task_node/execution.hpp"
#include "task_node/handler.hpp"
#include "task_node/task_machine.hpp"
#include "tempest/base/time.hpp"

namespace tempest::task_node {

/// The handler threads. One thread (the node's loop) calls everything here; what the threads have
/// finished waits in a mailbox until it calls collect().
class HandlerPool {
 public:
  /// `wake` is called from the handler threads when the mailbox is no longer empty.
  HandlerPool(std::size_t threads, std::function<void()> wake);
  /// Waits for the threads to end. If that cannot be waited for, end the process after a stop()
  /// that returned false.
  ~HandlerPool();
  HandlerPool(const HandlerPool&) = delete;
  HandlerPool& operator=(const HandlerPool&) = delete;

  /// Every thread makes its instances. Answered once, when all have, or have failed. No execution
  /// may be with the pool.
  void build(std::shared_ptr<const Plan> plan);
  /// Queues it for its thread.
  void execute(std::unique_ptr<Execution> execution);

  /// Appends what has been finished since, and what was asked for by tasks that run. What an
  /// execution asked for comes with it or before it.
  void collect(std::vector<std::unique_ptr<Execution>>& executions,
               std::vector<BuildAnswer>& answers, std::vector<Extension>& extensions);

  /// Lets each thread finish what it is at, and end: what is queued is dropped. Waits so long at
  /// most; false: a thread is still inside a task.
  bool stop(Duration patience);

 private:
  class Thread;
  struct Mailbox;

  std::shared_ptr<Mailbox> mailbox_;
  std::vector<std::unique_ptr<Thread>> threads_;
};

}  // namespace tempest::task_node
