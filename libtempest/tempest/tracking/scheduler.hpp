#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tempest/base/ids.hpp"
#include "tempest/dag/graph.hpp"
#include "tempest/tracking/delivery_table.hpp"
#include "tempest/tracking/key_slots.hpp"
#include "tempest/tracking/waiting_line.hpp"

namespace tempest::tracking {

/// How much may wait at a coordinator before it stops feeding tasks that make more.
struct QueueLimits {
  std::size_t messages = 200'000;
  std::size_t bytes = 256ULL << 20;
  /// Of a source's messages no more than so many have trees and deliveries before a worker takes
  /// them; what has come beyond waits as it came (Backlog). Enough for what all workers take at a
  /// time.
  std::size_t begun_ahead = 32'768;
  /// A task that makes several deliveries of each is given so many that about this many wait at the
  /// tasks it leads to: enough that no worker runs dry, few enough that they are still in the
  /// processor's caches when their turn comes.
  std::size_t made_ahead = 8'192;
  /// More than that is made only while nothing waits at one of those tasks, and then by workers
  /// that have fewer than this in flight.
  std::size_t fed_ahead = 256;
};

/// How many deliveries a task makes of each, as of late: in the words of the field, its selectivity
/// (Hirzel et al., "A Catalog of Stream Processing Optimizations", 2014).
class Selectivity {
 public:
  void count_made() { ++made_; }
  void count_made_bytes(std::size_t bytes) { made_bytes_ += bytes; }
  void count_done() {
    if (++done_ < kRemembered) return;
    done_ /= 2;
    made_ /= 2;
    made_bytes_ /= 2;
  }
  /// At least one; one while nothing is known.
  double value() const {
    return made_ > done_ && done_ > 0 ? static_cast<double>(made_) / static_cast<double>(done_) : 1;
  }
  /// Bytes that are made of each; zero while nothing is known.
  std::size_t value_bytes() const { return done_ > 0 ? made_bytes_ / done_ : 0; }

 private:
  static constexpr std::uint64_t kRemembered = 16'384;

  std::uint64_t made_ = 0;
  std::uint64_t made_bytes_ = 0;
  std::uint64_t done_ = 0;
};

/// Payloads that a coordinator holds and no line counts, in bytes.
struct SetAside {
  std::size_t held = 0;     ///< By gathering tasks, and what failed in trees that go on.
  std::size_t delayed = 0;  ///< Of deliveries that wait for another attempt.
  std::size_t failed = 0;   ///< Of failed messages that their sources have no room for yet.
};

/// Decides which worker gets which delivery. Knows workers by a number it gives them, and their
/// credit: the deliveries and bytes each may have out at once.
///
/// A task is served after all tasks below it, so that what has been begun is finished. Tasks of
/// which none is below another share the room that workers have (round robin, in rounds of equal
/// shares; Shreedhar & Varghese, "Efficient fair queuing using deficit round robin", 1996, with
/// deliveries for bytes): whoever has less to send leaves the rest to the others. Of a worker's key
/// slots each has its turn. With shuffle, a worker that is at work gets its batch before
/// another is woken; beyond that the least busy is served first.
///
/// A task that makes more than it is given is given little at a time, so that what it makes is done
/// with before more is made. While more waits than QueueLimits allow, a task is given work only if
/// nothing waits at any of its descendants: then what waits can only shrink, and something can
/// always go on. What is set aside counts as well. While that alone is too much a task that makes
/// more gets nothing (what is delayed comes back by itself, and what failed is taken by its
/// source), or, where it is held back until more is made, one delivery at a time.
class Scheduler {
 public:
  Scheduler(const dag::Graph& graph, DeliveryTable& table, const QueueLimits& limits = {});

  // --- What waits ---

  /// A delivery is there that a task has made, whatever becomes of it.
  void note_made(const Delivery& delivery) {
    if (delivery.edge == kNoEdge) return;
    tasks_[index(graph_.edge(delivery.edge).from)].selectivity.count_made_bytes(
        delivery.payload.size_bytes());
  }
  /// A detached delivery becomes ready, behind what waits already.
  void enqueue(std::uint32_t delivery);
  /// The same, before what waits already, for what was out at a worker and has come back. Of a key,
  /// in the order in which it was sent.
  void enqueue_returned(std::uint32_t delivery);
  /// A ready delivery becomes detached.
  void withdraw(std::uint32_t delivery);
  /// What waits besides, and is no delivery yet: messages for each of the graph's roots.
  void set_backlog(std::size_t messages, std::size_t bytes) {
    backlog_messages_ = messages;
    backlog_bytes_ = bytes;
  }
  /// Kept up to date by whoever sets aside.
  SetAside& set_aside() { return set_aside_; }
  const SetAside& set_aside() const { return set_aside_; }
  /// Of a delivery's payload, and those of its members.
  std::size_t size_bytes(const Delivery& delivery) const {
    const std::size_t bytes = delivery.payload.size_bytes();
    return delivery.members == kNowhere ? bytes : bytes + members_bytes(delivery);
  }
  /// A root may be out of work soon, as long as nothing is taken from the backlog.
  bool may_run_dry() const { return queued_ < limits_.begun_ahead || has_short_root(); }

  // --- Workers ---

  struct Window {
    std::uint64_t messages = 0;
    std::uint64_t bytes = 0;
    std::uint64_t batch = 1;  ///< So many are worth waking it for.
  };
  /// Its number is good until remove_worker, and used again after that.
  std::uint32_t add_worker(std::string name, std::span<const TaskId> tasks, Window window);
  void set_window(std::uint32_t worker, Window window);
  /// Everything it had in flight, orphans too, in the order it was sent; detached, except that
  /// orphans stay marked as such.
  std::vector<std::uint32_t> remove_worker(std::uint32_t worker);
  const std::string& worker_name(std::uint32_t worker) const { return workers_[worker].name; }
  std::size_t worker_count() const { return worker_count_; }
  std::size_t in_flight_at(std::uint32_t worker) const { return workers_[worker].in_flight.size; }

  // --- Key slots ---

  struct DirectoryWorker {
    std::string name;
    std::vector<TaskId> tasks;
    /// At so many coordinators it is missing: of a task's workers those with the fewest own slots.
    std::uint64_t absences = 0;
    enum class Presence : std::uint8_t { here, expected, given_up } presence = Presence::expected;

    bool operator==(const DirectoryWorker&) const = default;
  };
  /// The live workers, as the directory lists them at this revision.
  void set_directory(std::span<const DirectoryWorker> workers, std::uint64_t slots_revision);
  /// Every coordinator has let go of what moved up to this revision, but for what is held.
  void set_settled(std::uint64_t slots_revision) { settled_revision_ = slots_revision; }
  /// Slots of the task that other coordinators still have at workers that do not own them.
  void set_held(TaskId task, const SlotSet& slots);
  /// Slots of the task that have something in flight here at a worker that does not own them. As of
  /// the last update_strays().
  const SlotSet& strays(TaskId task) const { return tasks_[index(task)].strays; }
  bool has_strays() const { return has_strays_; }
  /// The worker that has the first of them; empty if there are none any more.
  std::string stray_worker(TaskId task) const;
  /// Returns true if strays() has changed. Costs nothing while there are none.
  bool update_strays();

  /// Why a slot of the task that has something to send does not send it.
  struct SlotWait {
    enum class Cause : std::uint8_t { none, no_owner, not_attached, strayed, held, busy };
    Cause cause = Cause::none;
    std::string owner;
    std::string at;  ///< If it has strayed: the worker that still has something of it.
  };
  /// Of the first such slot; busy if its owner has no room.
  SlotWait slot_wait(TaskId task) const;
  SlotWait slot_wait(TaskId task, std::size_t slot) const;

  // --- Handing out ---

  struct Assignment {
    std::uint32_t worker;
    std::uint32_t delivery;
  };
  /// Appends who gets what now; those deliveries are then in flight. A worker for which
  /// `blocked[worker]` is set gets nothing.
  void dispatch(TimePoint now, const std::vector<bool>& blocked,
                std::vector<Assignment>& assignments);

  /// A delivery in flight (or orphaned) is over or given up: detached, its worker's credit back.
  void settle(std::uint32_t delivery);
  /// A delivery in flight whose tree is over: its worker's credit stays taken.
  void orphan(std::uint32_t delivery);

  // --- Gauges ---

  /// The backlog included.
  std::size_t queued(TaskId task) const;
  std::size_t in_flight(TaskId task) const { return tasks_[index(task)].in_flight; }
  std::size_t queued() const { return queued_ + backlog_messages_ * graph_.roots().size(); }
  std::size_t suspects_waiting() const { return suspects_waiting_; }
  std::size_t queued_bytes() const {
    return queued_bytes_ + backlog_bytes_ * graph_.roots().size();
  }
  /// Live workers that serve the task.
  std::size_t workers_of(TaskId task) const;

 private:
  struct Worker {
    bool live = false;
    std::string name;
    std::vector<bool> serves;  ///< By task.
    Window window;
    DeliveryList in_flight;
    std::uint64_t in_flight_bytes = 0;

    bool has_room() const { return has_room_beside(0); }
    /// Beside so many more, whose bytes are counted already.
    bool has_room_beside(std::size_t more) const {
      const std::size_t messages = in_flight.size + more;
      return messages < window.messages && (in_flight_bytes < window.bytes || messages == 0);
    }
  };
  struct TaskQueue {
    WaitingLine shuffle;
    std::unique_ptr<KeyedQueues> keyed;  ///< Null unless grouped by key.
    SlotSet strays;
    std::size_t in_flight = 0;
    Selectivity selectivity;
  };
  /// One call of dispatch().
  struct Turn {
    TimePoint now;
    const std::vector<bool>& blocked;
    std::vector<Assignment>& assignments;
    std::size_t allowance = 0;        ///< How many more the task at hand may be given,
    std::uint64_t allowed_bytes = 0;  ///< and that it is given more until it has got so much.
  };
  /// What workers can take, or a task's part of it.
  struct Room {
    std::size_t messages = 0;
    std::uint64_t bytes = 0;
  };
  static const Room kAll;

  static std::size_t index(TaskId task) { return static_cast<std::size_t>(task); }
  /// The line in which a delivery waits, or is to.
  WaitingLine& line_of(const Delivery& delivery);
  /// Of these workers, those that may own the task's slots.
  static SlotCandidates candidates_of(TaskId task, std::span<const DirectoryWorker> workers);
  void count_joined(const Delivery& delivery);
  void count_left(const Delivery& delivery, std::size_t bytes);
  std::size_t members_bytes(const Delivery& delivery) const;
  /// Those of the task that wait.
  std::size_t ready(TaskId task) const;
  bool over_limits() const;
  bool has_short_root() const;
  bool may_feed(TaskId task) const;
  /// How many of the task may be given so that what comes of them stays within the limits.
  std::size_t allowance_by_limits(const TaskQueue& queue) const;
  /// How many more of the task candidates_ may be given without too much being made of it.
  std::size_t allowance(TaskId task) const;
  /// Live, with room, not blocked, and serves the task.
  bool can_take(std::uint32_t worker, TaskId task, const std::vector<bool>& blocked) const;
  /// Has not got its batch, and has not kept anything for long.
  bool wants_batch(const Worker& worker, TimePoint now) const;
  /// Into candidates_: who can take something of the task.
  void find_candidates(TaskId task, const std::vector<bool>& blocked);
  /// The least busy first.
  void rank_candidates();
  /// From the front of the line, up to `most` of them, until the worker has `most_bytes` in flight,
  /// and as far as it has room and the turn allows.
  void send_front(WaitingLine& line, std::size_t most, std::uint64_t most_bytes,
                  std::uint32_t worker, Turn& turn);
  bool are_related(TaskId task, TaskId other) const;
  void dispatch_tasks(Turn& turn);
  /// Gives the task's deliveries to workers, as far as `most` goes. Returns how many.
  std::size_t serve(TaskId task, const Room& most, Turn& turn);
  void dispatch_shares(Turn& turn);
  /// Moves the tasks of contenders_ that are below no other of them to the front. Returns how many
  /// they are.
  std::size_t find_lowest();
  /// One round of equal shares among the first of contenders_. Drops those that can send no more.
  void serve_round(std::size_t count, Turn& turn);
  /// What the workers of these tasks have room for.
  Room room_for(std::span<const TaskId> tasks, const Turn& turn) const;
  void dispatch_shuffle(TaskId task, Turn& turn);
  /// Those of candidates_ that want a batch get it, the fullest first, as far as the line goes.
  /// False: nobody got anything.
  bool fill_batches(WaitingLine& line, Turn& turn);
  /// Some of the line goes to those of candidates_ that have least, until they have as much as the
  /// others, then to all alike: as water finds its level.
  void level(WaitingLine& line, Turn& turn);
  void dispatch_keyed(TaskId task, Turn& turn);
  /// Of the worker's key slots each in turn, up to `most` in all.
  void send_keyed(KeyedQueues& keyed, std::size_t most, std::uint32_t worker, Turn& turn);

  const dag::Graph& graph_;
  DeliveryTable& table_;
  QueueLimits limits_;
  std::vector<Worker> workers_;
  std::size_t worker_count_ = 0;
  std::vector<TaskQueue> tasks_;
  bool has_unrelated_ = false;      ///< Two of the tasks are not above one another.
  std::vector<TaskId> contenders_;  ///< Of dispatch_shares; kept for its capacity.
  std::vector<TaskId> sorted_;      ///< Of find_lowest; the same.
  TaskId last_served_ = kNoTask;    ///< Of those that share, the ones before it go first.
  std::size_t queued_ = 0;
  std::size_t queued_bytes_ = 0;
  std::size_t suspects_waiting_ = 0;
  std::size_t backlog_messages_ = 0;
  std::size_t backlog_bytes_ = 0;
  SetAside set_aside_;
  std::uint64_t settled_revision_ = 0;
  bool has_strays_ = false;
  bool may_have_strayed_ = false;          ///< Owners have changed since strays were looked for.
  std::uint32_t sent_number_ = 0;          ///< Of the last that was sent.
  std::uint32_t last_given_ = 0;           ///< Of equally busy workers, those after it go first.
  std::vector<std::uint32_t> candidates_;  ///< For the task at hand; kept for its capacity.
  std::vector<std::size_t> slots_;         ///< Of dispatch_keyed; the same.
};

}  // namespace tempest::tracking
