#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

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
  /// Of a delivery, from when it was sent here. Zero: none.
  Duration timeout{0};
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
  std::uint32_t handled_us = 0;  ///< How long it took, of a traced delivery.
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

/// What a task has done within the calls of others, without deliveries of its own.
struct FusedTask {
  TaskId task{};
  /// By wire::Results::Status: done, retry, fail.
  std::array<std::uint64_t, 3> handled{};
  std::uint64_t outputs = 0;
  /// By a name that no edge has.
  std::uint64_t unrouted_outputs = 0;
  /// Emitted by a task that no edge leaves.
  std::uint64_t dropped_outputs = 0;
  Histogram handle_times;
};

/// More time, asked for by a task that is at a delivery.
struct Extension {
  DeliveryId id;
  std::uint32_t lot = 0;  ///< Assigned::lot.
  Duration time{};
};

/// A batch of deliveries of one task, for one thread; then, filled in by that thread, what came of
/// them. Used again and again, so that it costs no allocation once its buffers have grown.
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
  std::vector<Emitted> outputs;   ///< In the order of the deliveries.
  std::vector<wire::Results::Failure> failures;
  std::vector<FusedTask> fused;
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

  /// Empties it, keeping what its buffers hold unless that is uncommonly much.
  void clear() {
    traced = false;
    unfused = false;
    deliveries.clear();
    outcomes.clear();
    outputs.clear();
    failures.clear();
    fused.clear();
    arena.clear();
    handle_time = Duration::zero();
    handle_times = Histogram{};
    dropped_outputs = 0;
  }
};

}  // namespace tempest::task_node
