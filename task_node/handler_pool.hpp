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

/// The handler threads. The thread that drives the node's loop, which may be one of them, calls
/// everything here; what the threads have finished waits in a mailbox until it calls collect().
class HandlerPool {
 public:
  /// `wake` is called from the handler threads when the mailbox is no longer empty.
  HandlerPool(std::size_t threads, std::function<void()> wake);
  /// Waits for the threads to end, replaced ones too. If that cannot be waited for, end the process
  /// after a stop() that returned false.
  ~HandlerPool();
  HandlerPool(const HandlerPool&) = delete;
  HandlerPool& operator=(const HandlerPool&) = delete;

  /// Every thread makes its instances. Answered once, when all have, or have failed. No execution
  /// may be with the pool.
  void build(std::shared_ptr<const Plan> plan);
  /// Queues it for its thread, which does `then` right after it.
  void execute(std::unique_ptr<Execution> execution, std::function<void()> then = {});
  /// In the execution's own thread, between two that were queued: runs it at once.
  void run_here(std::unique_ptr<Execution> execution);
  /// The thread has nothing to do.
  bool is_free(std::size_t thread) const;
  /// Something is queued for the thread.
  bool is_wanted(std::size_t thread) const;

  /// Leaves the thread to the call that it is at, and puts another in its place, which makes its
  /// own instances first; a BuildAnswer says how that went. The old thread ends when its call does.
  /// What it was at and what was queued for it is collected then, as ever.
  void replace(std::size_t thread);

  /// Appends what has been finished since, and what was asked for by tasks that run. What an
  /// execution asked for comes with it or before it.
  void collect(std::vector<std::unique_ptr<Execution>>& executions,
               std::vector<BuildAnswer>& answers, std::vector<Extension>& extensions);

  /// Lets each thread finish what it is at, and end: what is queued is dropped. Waits so long at
  /// most, and not for threads that have been replaced; false: a thread is still inside a task.
  bool stop(Duration patience);

 private:
  class Thread;
  struct Mailbox;

  std::shared_ptr<Mailbox> mailbox_;
  std::shared_ptr<const Plan> plan_;  ///< That was built last.
  std::vector<std::unique_ptr<Thread>> threads_;
  std::vector<std::unique_ptr<Thread>> replaced_;  ///< In calls that may never end.
};

}  // namespace tempest::task_node
