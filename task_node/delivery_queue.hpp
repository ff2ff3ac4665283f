#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
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
/// One that is to run alone (wire::Deliveries::Item::alone) keeps its place in line. When it comes
/// up, no more is given out; once nothing runs any more, but for what has run so long that it is
/// not waited for, announce_trial() chooses it, and it runs when start_trial() is called. Between
/// two of these the threads get one more batch each, so that one coordinator's suspects do not hold
/// up what others have sent. One that runs for long (it may hang) is no longer waited for, and is
/// to blame if the worker dies of something else then.
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
  void assign(TimePoint now, std::vector<std::unique_ptr<Execution>>& executions);

  struct Waiting {
    SessionRef session;
    DeliveryId id;
    TaskId task{};
  };
  /// The next that is to run alone, if its turn has come and none has been announced yet. Its
  /// coordinator is to be told: it counts as started there, so nothing else is given out until it
  /// is over, or gone with its session.
  std::optional<Waiting> announce_trial(TimePoint now);
  /// The one that was announced, and has not been started.
  std::optional<Waiting> announced_trial() const;
  /// When announce_trial() may have one though nothing has come or finished; kNever if it cannot.
  TimePoint next_trial() const;
  /// Runs the one that was announced, if no trial is unsettled.
  std::unique_ptr<Execution> start_trial(TimePoint now);
  /// Where the one that ran last came from, until settle_trial(): as long as its coordinator has
  /// not confirmed the result, it would be blamed for what others do here, so nothing is given out.
  /// (The next to run alone may be announced.)
  const std::optional<SessionRef>& unsettled_trial() const { return unsettled_; }
  void settle_trial() { unsettled_.reset(); }

  /// Where a delivery that runs came from, and when.
  const SessionRef& session_of(const Assigned& assigned) const { return session_of(assigned.lot); }
  const SessionRef& session_of(std::uint32_t lot) const { return lots_[lot].session; }
  TimePoint received_at(const Assigned& assigned) const { return lots_[assigned.lot].received_at; }

  /// A thread has finished this one: its frames are let go of, and its place is free again.
  void finish(const Execution& execution, TimePoint now);
  /// For use by assign() again. Nothing may point into it any more.
  void recycle(std::unique_ptr<Execution> execution);

  /// Appends what has waited for half of its task's timeout, and forgets it: begun later it might
  /// time out here, through no fault of its own. Not of tasks grouped by key, whose order it would
  /// upset, nor what is to run alone.
  void take_late(TimePoint now, std::vector<Waiting>& waiting);
  /// When take_late() may have something; kNever if nothing waits that has a timeout.
  TimePoint next_late() const;

  /// Appends everything that waits, and forgets it.
  void take_all(std::vector<Waiting>& waiting);
  /// Forgets what waits of this session. Returns how many.
  std::size_t drop(const SessionRef& session);

  std::size_t queued(TaskId task) const;
  std::size_t queued() const { return queued_; }
  /// Executions with the threads.
  std::size_t running() const { return running_; }
  std::size_t busy_threads() const;
  std::size_t threads() const { return threads_.size(); }

  /// The thread that has been at one batch for the longest time.
  struct LongestRun {
    TaskId task{};
    TimePoint since = kNever;  ///< kNever: no thread has anything.
  };
  LongestRun longest_run() const;

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
  struct Thread {
    /// The tasks of the executions it has, oldest first.
    std::vector<TaskId> has;
    TimePoint since = kNever;  ///< When it came to the first of them.
    std::size_t cursor = 0;    ///< The task to look at first.
    bool may_go_on = false;    ///< It has not had its batch since the last trial.
  };
  /// The next to run alone: at the front of a lane, and the thread that will run it.
  struct Trial {
    std::size_t queue;
    std::size_t lane;
    std::size_t thread;
  };

  TaskQueue* find(TaskId task);
  const TaskQueue* find(TaskId task) const;
  std::uint32_t take_lot();
  void close_one(std::uint32_t lot);
  bool is_alone(const Ref& ref) const { return lots_[ref.lot].deliveries.items[ref.item].alone; }
  std::optional<Trial> find_trial(TimePoint now) const;
  Waiting waiting_at(const Trial& trial) const;
  /// What is not to run alone has its turn as soon as the last trial is settled.
  bool others_go_first() const { return unsettled_ && queued_ > alone_; }
  /// When the first that waits for this task is late; kNever if it never is.
  TimePoint late_at(const TaskQueue& queue) const;
  static bool runs_long(const Thread& thread, TimePoint now);
  std::unique_ptr<Execution> next(std::size_t thread, TimePoint now);
  std::unique_ptr<Execution> take(std::size_t thread, TaskQueue& queue, std::deque<Ref>& lane,
                                  std::size_t size, TimePoint now);
  bool worth_waiting_at_thread(const TaskQueue& queue, std::size_t lane_size) const;
  std::size_t batch_size(const TaskQueue& queue, std::size_t lane_size) const;

  std::vector<TaskQueue> tasks_;
  std::vector<std::uint32_t> index_of_;  ///< By task id; kNotServed.
  std::deque<Lot> lots_;                 ///< A deque, since threads hold pointers into them.
  std::vector<std::uint32_t> free_lots_;
  std::vector<std::unique_ptr<Execution>> spare_;
  std::vector<Thread> threads_;
  std::size_t alone_ = 0;  ///< Of those that wait: how many are to run alone.
  std::optional<Trial> announced_;
  std::optional<SessionRef> unsettled_;
  /// The thread at which one runs alone, until it has run so long that others go on beside it.
  std::optional<std::size_t> trial_thread_;
  std::size_t queued_ = 0;
  std::size_t running_ = 0;
};

}  // namespace tempest::task_node
