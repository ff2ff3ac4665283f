#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tempest/base/histogram.hpp"
#include "tempest/base/ids.hpp"
#include "tempest/base/random.hpp"
#include "tempest/base/slab.hpp"
#include "tempest/base/time.hpp"
#include "tempest/dag/graph.hpp"
#include "tempest/topology.hpp"
#include "tempest/tracking/aggregate.hpp"
#include "tempest/tracking/backlog.hpp"
#include "tempest/tracking/delivery_table.hpp"
#include "tempest/tracking/owner_book.hpp"
#include "tempest/tracking/scheduler.hpp"
#include "tempest/tracking/trace_book.hpp"
#include "tempest/wire/frames.hpp"

namespace tempest::tracking {

/// What a coordinator does about failures; from the topology.
struct FailureRules {
  FailurePolicy policy = FailurePolicy::retry;
  /// The longest that a message may be worked on: the time in which any of its deliveries is in a
  /// call, not that in which all of them wait. Zero: no limit.
  Duration tree_timeout{0};
  /// How old a message may get, from its reading on, whatever it waits for. Zero: any age.
  Duration max_age{0};
  std::uint32_t max_attempts = 5;  ///< At most kMaxAttempts count.
  Backoff backoff;
  std::vector<bool> sinks;  ///< By task: what it takes is not counted, since sinks are waited for.
  /// In place of policy, max_attempts and backoff.
  std::optional<FailureRule> on_error = {};
  std::optional<FailureRule> on_timeout = {};

  FailureRule rule(wire::FailureKind kind) const;
};

FailureRules failure_rules_of(const Topology& topology);

/// The wait before this attempt (2 for the first retry): initial x factor^(attempt - 2), at most
/// max, less a random part of the jitter share.
Duration backoff_wait(const Backoff& backoff, std::uint32_t attempt, Random& random);

/// A source's message that is done.
struct AckedMessage {
  PeerId owner;
  MessageId message;
};

/// A source's message that is done for, with the delivery that was its end.
struct FailedMessage {
  PeerId owner;
  MessageId message;
  wire::FailureKind kind{};
  TaskId task = kNoTask;
  std::uint32_t attempts = 0;
  std::string worker;
  std::string reason;
  Payload payload;            ///< The failing delivery's.
  std::uint32_t retries = 0;  ///< Of all the tree's deliveries; up to 65,535.
};

/// A delivery whose call took longer than it may. Its message may be tried again, or has failed.
struct TimedOutDelivery {
  TaskId task = kNoTask;
  std::uint32_t attempt = 0;
  std::string worker;
  std::string reason;
};

/// Follows every source message through the graph: a **tree** counts its unfinished deliveries,
/// and when the count comes to zero the message is acked. A result counts only for the attempt it
/// answers: ids are renewed with each attempt, and what matches nothing is stale.
///
/// A delivery ends in one of these ways, whatever came before:
///
///     acknowledge (with or without outputs) -> its outputs are deliveries of the same tree
///     fail, time_out -> another attempt after a wait, or the tree's end, as the rules say
///     wait -> the same attempt once more after a wait: what the task needs is away
///     give_back, worker_lost -> ready again, with no attempt used up
///     worker_died -> the same, but for the suspect that the worker was running
///     the tree ends (failed, timed out, its source lost) -> withdrawn wherever it is
///
/// A tree is begun when workers may come to need its deliveries. While more than they can take has
/// come, messages wait in a Backlog, in a sixth of the memory. (Not where a root is grouped by key:
/// of what waits, some key's may be wanted at any time.)
///
/// Waiting is not work: workers measure how long calls take, and only that counts for a tree's
/// timeout. Calls of one tree that overlap count once.
///
/// When a tree ends nothing of it stays behind, but for deliveries at workers: those become
/// orphans, so that their workers' credit stays counted until they answer or are lost.
class Tracker {
 public:
  Tracker(const dag::Graph& graph, DeliveryTable& table, Scheduler& scheduler, FailureRules rules,
          std::uint64_t seed);

  // --- Trees ---

  /// A message has come from this owner (there are at most kMaxNodes of them that have trees). Its
  /// deliveries to the graph's roots become ready. `trace`: as what it is traced
  /// (wire::Sighting::message); 0: it is not.
  /// `age`: how long ago it was read.
  void begin(PeerId owner, MessageId message, const Payload& payload, TimePoint now,
             std::uint64_t trace = 0, Duration age = {});
  /// Begins with what has come and waits in the backlog, as far as workers may be in need of it
  /// soon. False: with nothing.
  bool begin_more();
  /// A source is lost: its trees end without a word, it or its successor will send them again.
  void forget_owner(PeerId owner);

  // --- Results. False: stale, and nothing has changed. ---

  struct Failure {
    bool permanent = false;  ///< No other attempt would help.
    std::string_view reason;
    Duration retry_after{0};  ///< Above zero: this wait, and no attempt is used up.
    /// What the task needs is away: it is waited for under every policy, and no attempt is used up.
    bool is_away = false;
  };
  struct Output {
    std::string_view output;  ///< Its name; empty for the plain edges.
    Payload payload;
    /// The one edge it takes, which must be one of the graph's; kNoEdge: by its name.
    EdgeId edge = kNoEdge;
    /// With an edge: the task has had it, in the same call, and this came of it.
    const Failure* failure = nullptr;
  };
  /// The delivery is done; `outputs` may be empty.
  bool acknowledge(DeliveryId id, std::uint32_t worker, std::span<const Output> outputs,
                   TimePoint now);
  /// What tasks did without deliveries of their own: only to be counted.
  void count_fused(TaskId task, std::uint64_t acknowledged, std::uint64_t outputs,
                   std::uint64_t outputs_dropped);

  bool fail(DeliveryId id, std::uint32_t worker, const Failure& failure, TimePoint now);
  /// The worker is about to run it, alone. No end of it; false: stale.
  bool start(DeliveryId id, std::uint32_t worker);
  /// Its call has taken longer than it may, and the worker has given it up. `by_tree`: longer than
  /// its message may be worked on, which ends the tree.
  bool time_out(DeliveryId id, std::uint32_t worker, bool by_tree, std::string_view reason,
                TimePoint now);
  /// Its task has asked for more time. No end of it, and only counted; false: stale.
  bool note_extended(DeliveryId id, std::uint32_t worker);
  /// Its task has worked on it for so long, up to now; before the result itself. A tree that has
  /// been worked on for too long ends in the next turn, if it is not done by then.
  void note_worked(DeliveryId id, std::uint32_t worker, Duration worked, TimePoint now);
  /// The worker has not begun with it.
  bool give_back(DeliveryId id, std::uint32_t worker);
  /// What Scheduler::remove_worker gave back.
  void worker_lost(std::span<const std::uint32_t> deliveries);
  /// The same for a worker that did not say goodbye: it may have died of one of them, so each
  /// remembers the loss. If it had started a suspect, it died of that: a failed attempt
  /// (FailureKind::worker_lost) of this one, and nothing to do with the others.
  void worker_died(std::span<const std::uint32_t> deliveries, const std::string& worker,
                   TimePoint now);

  // --- Of traced deliveries ---

  void note_handed_out(std::uint32_t delivery);
  /// How long the worker says that it took; before the result itself.
  void note_handled(DeliveryId id, std::uint32_t worker, std::uint32_t handled_us);

  // --- Time ---

  /// Ends trees whose time is over, and makes ready what is due for another attempt.
  void turn(TimePoint now);
  TimePoint next_turn() const;

  // --- What has come of it; emptied by the caller ---

  std::vector<AckedMessage>& acked() { return acked_; }
  std::vector<FailedMessage>& failed() { return failed_; }
  std::vector<TimedOutDelivery>& timed_out() { return timed_out_; }
  TraceBook& traces() { return traces_; }

  // --- Numbers ---

  struct TaskCounters {
    std::uint64_t acknowledged = 0;
    std::uint64_t failed = 0;  ///< Attempts that failed, timeouts included.
    std::uint64_t retried = 0;
    std::uint64_t timed_out = 0;
    std::uint64_t extended = 0;        ///< Times that a task asked for more time.
    std::uint64_t killed_workers = 0;  ///< Workers that died while they ran one delivery alone.
    std::uint64_t returned = 0;
    std::uint64_t outputs = 0;
    std::uint64_t outputs_dropped = 0;  ///< Of a terminal task, or by a name that no edge has.
  };
  const TaskCounters& counters(TaskId task) const {
    return counters_[static_cast<std::size_t>(task)];
  }
  std::uint64_t trees_started() const { return trees_started_; }
  std::uint64_t trees_completed() const { return trees_completed_; }
  std::uint64_t trees_failed() const { return trees_failed_; }
  std::uint64_t trees_forgotten() const { return trees_forgotten_; }
  /// Deliveries that have come to an end of any kind, so far: what moves while anything does.
  std::uint64_t deliveries_ended() const { return deliveries_ended_; }
  std::uint64_t stale_results() const { return stale_results_; }
  const Histogram& tree_durations() const { return tree_durations_; }
  /// Those that wait in the backlog included.
  std::size_t trees_in_flight() const { return trees_.size() + backlog_.size(); }
  const Backlog& backlog() const { return backlog_; }
  /// Deliveries that wait for their next attempt.
  std::size_t delayed() const { return delayed_count_; }
  /// When the oldest tree began; kNever if there is none.
  TimePoint oldest_tree() const;
  /// Bytes held for trees and deliveries, without payloads. A tree of one delivery takes
  /// bytes_per_tree() + DeliveryTable::bytes_per_delivery().
  std::size_t memory_bytes() const {
    return trees_.memory_bytes() + table_.memory_bytes() + backlog_.memory_bytes();
  }
  static constexpr std::size_t bytes_per_tree() { return Slab<Tree, TreeId>::bytes_per_record(); }

 private:
  /// Packed as Delivery is, and for the same reason.
  struct Tree {
    MessageId message;
    LooselyAligned<TimePoint> started;
    std::uint32_t deliveries = kNowhere;  ///< The first of its list.
    std::uint32_t older = kNowhere;
    std::uint32_t newer = kNowhere;
    std::uint32_t unfinished : 31 = 0;
    bool traced : 1 = false;
    std::uint16_t owner = 0;    ///< By its number in owners_.
    std::uint16_t retries = 0;  ///< Up to 65,535.
  };
  static_assert(sizeof(Tree) == 36);

  TaskCounters& count(TaskId task) { return counters_[static_cast<std::size_t>(task)]; }
  Delivery* find_in_flight(DeliveryId id, std::uint32_t worker);
  /// The answer to an orphan: its credit returns, and the place is free. True if it was one.
  bool settle_orphan(DeliveryId id, std::uint32_t worker);

  void begin_tree(PeerId owner, MessageId message, const Payload& payload, TimePoint began,
                  std::uint64_t trace);
  void begin_first_of_backlog();
  void add_delivery(std::uint32_t tree, TaskId task, EdgeId edge, const Payload& payload);
  /// The same, but it stays detached.
  std::uint32_t create_delivery(std::uint32_t tree, TaskId task, EdgeId edge,
                                const Payload& payload);
  void add_output(std::uint32_t tree, TaskId task, const Output& output);
  void fail_fused(std::uint32_t worker, TreeId tree, TimePoint now);
  /// Returns why the tree may not go on, one call having made so many deliveries; empty: it may.
  /// How many wait at a time is no reason, since that depends on how quickly they are done: the
  /// scheduler holds back the tasks that make more.
  std::string fault_of_growth(std::uint32_t tree, std::uint32_t made) const;
  void fail_large_tree(std::uint32_t tree, TaskId task, std::uint32_t worker, std::string reason);
  /// Of the tree's list of deliveries, in which it is not yet.
  void link_to_tree(Tree& tree, Delivery& delivery, std::uint32_t slot);
  void unlink_from_tree(Tree& tree, Delivery& delivery);
  void release_gathered(TreeId tree, TimePoint now);
  void join_members(std::uint32_t tree, const std::vector<std::uint32_t>& deliveries);
  /// Fails the joined delivery for good if no frame holds it. Returns whether it did: the tree may
  /// have ended with it.
  bool fail_large_join(std::uint32_t leader, TimePoint now);
  void release_delivery(std::uint32_t delivery);
  /// A detached delivery is over; so may its tree be.
  void finish_delivery(std::uint32_t delivery, TimePoint now);

  /// A detached delivery has failed once more.
  void retry_or_give_up(std::uint32_t delivery, wire::FailureKind kind, std::string worker,
                        const Failure& failure, TimePoint now);
  void give_up(std::uint32_t delivery, wire::FailureKind kind, std::string worker,
               std::string_view reason, TimePoint now);
  /// Detached becomes delayed, for this long.
  void delay(std::uint32_t delivery, Duration wait, TimePoint now);
  void trace_failure(std::uint32_t delivery, const TraceBook::Failure& failure);
  /// Delayed becomes detached.
  void take_from_delayed(std::uint32_t delivery);
  /// Ends the trees that have been worked on for too long.
  void end_overworked();
  /// Ends the trees whose messages are too old.
  void end_expired(TimePoint now);
  /// Ends the tree, naming what it is at now.
  void end_late(std::uint32_t tree, wire::FailureKind kind, std::string_view limit);
  std::string describe_state(std::uint32_t tree) const;
  Duration wait_while_away(TaskId task, Duration wanted, TimePoint now);

  void complete_tree(std::uint32_t tree, TimePoint now);
  void fail_tree(std::uint32_t tree, FailedMessage failed);
  void end_tree(std::uint32_t tree);
  void forget_tolerated(std::uint32_t tree);

  const dag::Graph& graph_;
  DeliveryTable& table_;
  Scheduler& scheduler_;
  FailureRules rules_;
  Random random_;

  Slab<Tree, TreeId> trees_;
  OwnerBook owners_;
  Backlog backlog_;   ///< Of messages that came after all trees' ones.
  bool has_backlog_;  ///< There may be one: its order is not that of keys' messages.
  std::uint32_t oldest_ = kNowhere;
  std::uint32_t newest_ = kNowhere;
  Aggregate aggregate_;
  /// With policy best_effort: what failed in a tree that goes on.
  std::map<std::uint32_t, FailedMessage> tolerated_;
  /// By when they are due, and in the order of their failing.
  std::map<TimePoint, DeliveryList> delayed_;
  std::size_t delayed_count_ = 0;
  /// How long a tree has been worked on, of those that slow tasks have had.
  struct Worked {
    Duration time{0};
    TimePoint until{};  ///< What came before this has been counted.
  };
  std::map<std::uint32_t, Worked> worked_;  ///< By tree.
  std::vector<TreeId> overworked_;
  /// With max_age: when each tree's message is too old.
  std::set<std::pair<TimePoint, std::uint32_t>> expiries_;
  /// Since when what a task needs has been away; by task, kNever while it is not.
  std::vector<TimePoint> away_since_;

  std::vector<AckedMessage> acked_;
  std::vector<FailedMessage> failed_;
  std::vector<TimedOutDelivery> timed_out_;
  TraceBook traces_;

  std::vector<TaskCounters> counters_;
  std::uint64_t trees_started_ = 0;
  std::uint64_t trees_completed_ = 0;
  std::uint64_t trees_failed_ = 0;
  std::uint64_t trees_forgotten_ = 0;
  std::uint64_t deliveries_ended_ = 0;
  std::uint64_t stale_results_ = 0;
  Histogram tree_durations_;
  // Of acknowledge(); kept for their capacity.
  std::vector<EdgeId> edges_;
  struct FusedFailure {
    std::uint32_t delivery;
    const Failure* failure;
  };
  std::vector<FusedFailure> fused_failures_;
};

}  // namespace tempest::tracking
