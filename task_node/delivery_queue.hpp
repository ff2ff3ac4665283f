#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "task_node/execution.hpp"
#include "tempest/base/ids.hpp"
#include "tempest/base/result.hpp"
#include "tempest/base/shared_bytes.hpp"
#include "tempest/base/time.hpp"
#include "tempest/link/node.hpp"
#include "tempest/wire/frames.hpp"

namespace tempest::task_node {

/// One session with one coordinator. No two in the life of a worker are the same, so that what
/// belongs to an earlier one can be told.
struct SessionRef {
  link::ChannelId channel{};
  std::uint32_t session = 0;

  bool operator==(const SessionRef&) const = default;
};

/// What has come from coordinators and is not done yet: the deliveries that wait, and which thread
/// takes which of them next.
///
/// Frames are kept as they came (a lot), with the deliveries in them as views, until the last of
/// them is over: payloads are never copied here, and a delivery that waits costs eight bytes.
///
/// A task grouped by key has a queue for each thread, and a key always goes to the same one. Other
/// tasks have one queue for all threads. A thread has at most two batches: the one it runs, and,
/// where handling is so quick that the way to this thread and back would count, one that waits.
class DeliveryQueue {
 public:
  explicit DeliveryQueue(std::size_t threads);

  /// What is served from now on. Nothing may be waiting or running.
  void serve(const std::vector<ServedTask>& tasks);

  /// A delivery that cannot be handled here, and why.
  struct Refused {
    DeliveryId id;
    std::string reason;
  };

  /// Queues a frame's deliveries. Those of tasks not served, or without a message, are refused.
  /// An error: the body is malformed, and nothing was queued.
  Result<void> accept(const SessionRef& session, const SharedBytes& frame, std::string_view body,
                      TimePoint now, std::vector<Refused>& refused);

  /// Gives free threads what they are to do next.
  void assign(std::vector<std::unique_ptr<Execution>>& executions);

  /// Where a delivery that runs came from, and when.
  const SessionRef& session_of(const Assigned& assigned) const {
    return lots_[assigned.lot].session;
  }
  TimePoint received_at(const Assigned& assigned) const { return lots_[assigned.lot].received_at; }

  /// A thread has finished this one: its frames are let go of, and its place is free again.
  void finish(const Execution& execution);
  /// For use by assign() again. Nothing may point into it any more.
  void recycle(std::unique_ptr<Execution> execution);

  struct Waiting {
    SessionRef session;
    DeliveryId id;
    TaskId task{};
  };
  /// Appends everything that waits, and forgets it.
  void take_all(std::vector<Waiting>& waiting);
  /// Forgets what waits of this session. Returns how many.
  std::size_t drop(const SessionRef& session);

  std::size_t queued(TaskId task) const;
  std::size_t queued() const { return queued_; }
  /// Executions with the threads.
  std::size_t running() const { return running_; }
  std::size_t busy_threads() const;
  std::size_t threads() const { return outstanding_.size(); }

 private:
  struct Lot {
    SharedBytes frame;
    wire::Deliveries deliveries;
    SessionRef session;
    TimePoint received_at{};
    std::size_t open = 0;  ///< Deliveries in it that are not over.
  };
  struct Ref {
    std::uint32_t lot;
    std::uint32_t item;
  };
  struct TaskQueue {
    ServedTask task;
    /// One for each thread with by_key, otherwise just one.
    std::vector<std::deque<Ref>> lanes;
    /// Mean time to handle one delivery; 0 before the first.
    double mean_ns = 0;
  };

  TaskQueue* find(TaskId task);
  const TaskQueue* find(TaskId task) const;
  std::uint32_t take_lot();
  void close_one(std::uint32_t lot);
  std::unique_ptr<Execution> next(std::size_t thread);
  bool worth_waiting_at_thread(const TaskQueue& queue, std::size_t lane_size) const;
  std::size_t batch_size(const TaskQueue& queue, std::size_t lane_size) const;

  std::vector<TaskQueue> tasks_;
  std::vector<std::uint32_t> index_of_;  ///< By task id; kNotServed.
  std::deque<Lot> lots_;                 ///< A deque, since threads hold pointers into them.
  std::vector<std::uint32_t> free_lots_;
  std::vector<std::unique_ptr<Execution>> spare_;
  std::vector<std::uint8_t> outstanding_;  ///< By thread: executions it has.
  std::vector<std::size_t> cursor_;        ///< By thread: the task to look at first.
  std::size_t queued_ = 0;
  std::size_t running_ = 0;
};

}  // namespace tempest::task_node
