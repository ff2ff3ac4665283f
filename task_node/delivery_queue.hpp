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
#include "task_node/work_clock.hpp"
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
/// them is over, and a delivery that waits costs eight bytes. Payloads are copied only where much
/// is kept for the sake of little: once frames take up twice what they did, what waits in those
/// that are mostly over moves to places of its own.
///
/// A call that takes uncommonly long holds up nothing else. What its thread was to do after it is
/// taken back and goes to the front of the line, and once the call has exceeded its task's timeout
/// it is given up (find_overdue(), give_up()): its thread, if it comes back, comes back to nothing.
/// Only time in which this process could work counts.
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

  /// Notes how time passes, before anything else that takes it.
  void look(TimePoint now) { clock_.look(now); }

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

  /// Deliveries of an execution, by their places in it.
  struct Range {
    std::size_t first = 0;
    std::size_t end = 0;
  };
  /// What a thread that has come back brings.
  struct Finished {
    Range range;                ///< Deliveries that have a result and have not been reported yet.
    bool was_given_up = false;  ///< Its call had been given up: nothing of it counts.
    bool was_behind = false;    ///< It waited behind such a call, and nothing of it was begun.
    Duration last_call{0};      ///< Worked in the call that all of `range` was in; zero: not known.
  };
  /// A thread has finished this one: its place is free again. `now`: of this turn.
  Finished finish(const Execution& execution, TimePoint now);
  /// Lets go of the frames of what finish() has told of, and of what was reported before.
  void close(const Execution& execution, const Range& range);
  /// For use by assign() again. Nothing may point into it any more.
  void recycle(std::unique_ptr<Execution> execution);

  /// Deliveries that are done, of an execution that a thread still has.
  struct Done {
    const Execution* execution = nullptr;
    Range range;
  };
  /// Looks for threads that have been at one call for uncommonly long while more is to come after
  /// it. Takes that back from them: it stands first in line again. Appends what they have done and
  /// not brought yet. It stays readable until the thread comes back.
  void take_back_behind_slow_calls(std::vector<Done>& done);

  /// A call that has exceeded its time.
  struct Overdue {
    std::size_t thread = 0;
    TaskId task{};
    bool by_message = false;  ///< It is the message's timeout that has passed, not the task's own.
    bool was_extended = false;
    Duration worked{0};
  };
  std::optional<Overdue> find_overdue() const;
  /// Gives up the call that the thread is at, and the thread with it. Returns its delivery, to be
  /// reported; nothing if the call has several: each of those goes back in line, to be run in a
  /// call of its own, since only one of them may be to blame.
  std::vector<Waiting> give_up(const Overdue& overdue);
  /// Gives up all that runs, whose coordinators do not wait for it any more. Appends the threads
  /// that are at a call.
  void give_up_all(std::vector<std::size_t>& threads);
  /// The thread that was given up gets nothing more to do until its call ends.
  void lose_thread(std::size_t thread) { threads_[thread].is_lost = true; }
  /// A task asks for more time in the call that it is at.
  void extend(const Extension& extension);
  /// When one of these may have something to do; kNever while nothing runs.
  TimePoint next_watch() const;
  /// Threads that have been at one call for a tenth of a second or more, or are lost.
  std::size_t slow_threads() const;

  /// Appends what waits here for so long that another worker may be sooner, and what is more than
  /// `most` in all, and forgets it. Not of tasks grouped by key, whose order it would upset, nor
  /// what is to run alone or in a call of its own.
  void take_late(TimePoint now, std::size_t most, std::vector<Waiting>& waiting);
  /// When take_late() may have something; kNever if nothing waits that could go elsewhere.
  TimePoint next_late() const;

  /// Appends everything that waits, and forgets it.
  void take_all(std::vector<Waiting>& waiting);
  /// Forgets what waits of this session. Returns how many.
  std::size_t drop(const SessionRef& session);

  std::size_t queued(TaskId task) const;
  std::size_t queued() const { return queued_; }
  /// What is held for the deliveries that are not over: frames.
  std::size_t frame_bytes() const { return frame_bytes_; }
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
  /// While frames take up less than this they stay as they came.
  static constexpr std::size_t kLeastRepackBytes = std::size_t{32} << 20;

  struct Lot {
    SharedBytes frame;
    wire::Deliveries deliveries;
    SessionRef session;
    TimePoint received_at{};
    std::size_t open = 0;  ///< Deliveries in it that are not over.
  };
  struct Ref {
    std::uint32_t lot;
    std::uint32_t item : 31;
    /// It was in a call with others that has been given up: to be run in one of its own.
    std::uint32_t single : 1;
  };
  struct TaskQueue {
    ServedTask task;
    /// One for each thread with by_key, otherwise just one.
    std::vector<std::deque<Ref>> lanes;
    /// Mean time to handle one delivery; 0 before the first.
    double mean_ns = 0;
  };
  /// An execution that a thread has.
  struct Held {
    Execution* execution = nullptr;
    TaskId task{};
    Range range;                  ///< What is still to be reported of it.
    bool is_sealed = false;       ///< Nothing more of it is begun.
    bool is_single_call = false;  ///< Nothing of it comes after the call that it is at.
  };
  struct Thread {
    /// The executions it has, oldest first.
    std::vector<Held> has;
    TimePoint since = kNever;  ///< When it came to the first of them.
    /// By clock_: since when it has been at the call it is at, as far as is known; and when a wish
    /// for more time lets that end.
    TimePoint call_since = kNever;
    TimePoint extended_to{};
    std::size_t cursor = 0;  ///< The task to look at first.
    bool may_go_on = false;  ///< It has not had its batch since the last trial.
    bool is_lost = false;    ///< It hangs, and there is no other in its place.
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
  /// Moves what waits out of the frames of which little is left to do.
  void repack();
  void move_out(std::uint32_t from, const std::vector<Ref*>& refs);
  void close_one(std::uint32_t lot);
  bool is_alone(const Ref& ref) const { return lots_[ref.lot].deliveries.items[ref.item].alone; }
  std::optional<Trial> find_trial(TimePoint now) const;
  Waiting waiting_at(const Trial& trial) const;
  /// What is not to run alone has its turn as soon as the last trial is settled.
  bool others_go_first() const { return unsettled_ && queued_ > alone_; }
  bool is_single(const Ref& ref) const {
    return ref.single != 0 || lots_[ref.lot].deliveries.items[ref.item].single;
  }
  Ref ref_of(const Assigned& assigned, bool single) const;
  void put_back(const Execution& execution, const Range& range, bool single);
  void take_back(Thread& thread, std::vector<Done>& done);
  /// All that the thread has is no longer its own.
  void abandon(Thread& thread);
  void begin_call(Thread& thread);
  /// By clock_: when the call that the thread is at counts as slow, and when it has taken too long.
  TimePoint slow_at(const Thread& thread) const;
  TimePoint overdue_at(const Thread& thread) const;
  const ServedTask& served(TaskId task) const { return find(task)->task; }
  bool may_go_back(const TaskQueue& queue, const Ref& ref) const {
    return !queue.task.by_key && !is_alone(ref) && !is_single(ref);
  }
  void send_back(TaskQueue& queue, const Ref& ref, std::vector<Waiting>& waiting);
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
  std::size_t frame_bytes_ = 0;
  std::size_t repack_at_ = kLeastRepackBytes;
  std::vector<std::unique_ptr<Execution>> spare_;
  std::vector<Thread> threads_;
  WorkClock clock_;
  /// Executions at threads that have been given up.
  struct GivenUp {
    const Execution* execution;
    Range range;   ///< The call it was at.
    bool is_call;  ///< False: it waited behind such a call.
  };
  std::vector<GivenUp> given_up_;
  std::size_t alone_ = 0;  ///< Of those that wait: how many are to run alone.
  std::optional<Trial> announced_;
  std::optional<SessionRef> unsettled_;
  /// The thread at which one runs alone, until it has run so long that others go on beside it.
  std::optional<std::size_t> trial_thread_;
  std::size_t queued_ = 0;
  std::size_t running_ = 0;
};

}  // namespace tempest::task_node
