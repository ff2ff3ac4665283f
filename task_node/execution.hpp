#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "task_node/stable_list.hpp"
#include "task_node/untaken_outputs.hpp"
#include "tempest/base/arena.hpp"
#include "tempest/base/histogram.hpp"
#include "tempest/base/ids.hpp"
#include "tempest/base/time.hpp"
#include "tempest/wire/frames.hpp"

/// What goes between the machine and the handler threads.
namespace tempest::task_node {

/// A task that this worker serves, as the machine needs to know it.
struct ServedTask {
  TaskId id{};
  std::string name;
  /// A key stays with one thread, and so with one instance.
  bool by_key = false;
  /// The most deliveries in one call; 0: the task takes them one by one.
  std::size_t max_batch = 0;
  /// The longest that one call may take. Zero: no limit.
  Duration timeout{0};
  /// The longest that a message may be worked on, which no single call may exceed either. Zero: no
  /// limit.
  Duration message_timeout{0};
  /// It writes to a sink, which is waited for: a call that takes too long is no fault of a message.
  bool is_sink = false;
};

/// A delivery given to a thread. What it points to belongs to the machine, which keeps it until
/// the execution has come back.
struct Assigned {
  const wire::Deliveries::Item* item = nullptr;
  const wire::Deliveries::Part* parts = nullptr;  ///< item->part_count of them.
  std::uint32_t lot = 0;                          ///< The machine's own: where they came from.
};

/// What became of one delivery.
struct Outcome {
  wire::Results::Status status = wire::Results::Status::done;
  std::uint32_t handled_us = 0;  ///< How long it took; 0: not measured by itself.
  std::uint64_t retry_after_ms = 0;
  std::string_view reason;
  /// Its outputs' places in `outputs`.
  std::uint32_t first_output = 0;
  std::uint32_t output_count = 0;
};

/// An emitted message. Its name, key and payload stand one after the other in the arena.
struct Emitted {
  std::uint32_t delivery = 0;
  std::uint32_t key_bytes = 0;
  std::uint32_t payload_bytes = 0;
  std::uint16_t name_bytes = 0;
  TaskId from{};          ///< The task that emitted it.
  EdgeId edge = kNoEdge;  ///< The one it takes; kNoEdge: those of its name.
  std::uint32_t failure = wire::Results::kNotFailed;  ///< In `failures`.
  const char* at = nullptr;

  std::string_view name() const { return {at, name_bytes}; }
  std::string_view key() const { return {at + name_bytes, key_bytes}; }
  std::string_view payload() const { return {at + name_bytes + key_bytes, payload_bytes}; }
  std::size_t bytes() const { return std::size_t{name_bytes} + key_bytes + payload_bytes; }
};

/// How many kinds of results there are (wire::Results::Status).
inline constexpr std::size_t kResultStatuses = 9;

/// What a task has done within the calls of others, without deliveries of its own.
struct FusedTask {
  TaskId task{};
  /// By wire::Results::Status.
  std::array<std::uint64_t, kResultStatuses> handled{};
  std::uint64_t outputs = 0;
  /// By a name that no edge has.
  std::uint64_t unrouted_outputs = 0;
  /// Emitted by a task that no edge leaves.
  std::uint64_t dropped_outputs = 0;
  Histogram handle_times;

  void count(wire::Results::Status status) { ++handled[static_cast<std::size_t>(status)]; }
};

/// More time, asked for by a task that is at a delivery.
struct Extension {
  DeliveryId id;
  std::uint32_t lot = 0;  ///< Assigned::lot.
  Duration time{};
};

/// A batch of deliveries of one task, for one thread; then, filled in by that thread, what came of
/// them. Used again and again, so that it costs no allocation once its buffers have grown.
///
/// The thread claims each call's deliveries before it makes the call. Another thread can seal the
/// execution: the thread then finishes the call that it is at, and begins no other. What was
/// complete at the last claim does not change any more, so whoever has sealed it may read the
/// outcomes of the earlier calls while the last one still runs.
struct Execution {
  std::size_t thread = 0;
  TaskId task{};
  /// One of the deliveries is traced: each is timed.
  bool traced = false;
  /// Nothing is fused in it: somebody wants to see what goes from task to task.
  bool unfused = false;
  std::vector<Assigned> deliveries;
  /// How long it should take, by what earlier ones took. Zero: there were none.
  Duration expected_time{};

  std::vector<Outcome> outcomes;  ///< One for each delivery.
  StableList<Emitted> outputs;    ///< In the order of the deliveries.
  StableList<wire::Results::Failure> failures;
  std::vector<FusedTask> fused;
  std::vector<UntakenOutput> untaken;  ///< Of the task, and of what was fused.
  /// What outputs and reasons point into.
  Arena arena;
  TimePoint started_at{};
  Duration handle_time{};  ///< Of all, with what was fused.
  Histogram handle_times;  ///< Of the task itself.
  /// Emitted by a task that no edge leaves.
  std::uint64_t dropped_outputs = 0;

  static wire::Results::Output output(const Emitted& emitted) {
    return {emitted.name(), emitted.key(), emitted.payload(), emitted.edge, emitted.failure};
  }

  /// By the thread that runs it: takes the next `count` deliveries. False: it has been sealed, and
  /// nothing more is to be begun.
  bool claim(std::size_t count) {
    const std::uint64_t before = claims_.fetch_add(count, std::memory_order_acq_rel);
    if ((before & kSealed) == 0) return true;
    claims_.fetch_sub(count, std::memory_order_relaxed);
    return false;
  }
  /// By any other thread: lets nothing more be begun. Returns how many deliveries have been.
  std::size_t seal() {
    return std::min<std::size_t>(claims_.fetch_or(kSealed, std::memory_order_acq_rel) & ~kSealed,
                                 deliveries.size());
  }
  /// Returns how many deliveries have been begun, once it has come back.
  std::size_t begun() const {
    return std::min<std::size_t>(claims_.load(std::memory_order_acquire) & ~kSealed,
                                 deliveries.size());
  }

  /// Empties it, keeping what its buffers hold unless that is uncommonly much.
  void clear() {
    claims_.store(0, std::memory_order_relaxed);
    traced = false;
    unfused = false;
    deliveries.clear();
    outcomes.clear();
    outputs.clear();
    failures.clear();
    fused.clear();
    untaken.clear();
    arena.clear();
    handle_time = Duration::zero();
    handle_times = Histogram{};
    dropped_outputs = 0;
  }

 private:
  static constexpr std::uint64_t kSealed = std::uint64_t{1} << 63;

  std::atomic<std::uint64_t> claims_{0};
};

}  // namespace tempest::task_node
