#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

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
  std::uint64_t retry_after_ms = 0;
  /// The reason's place in the arena.
  std::size_t reason_at = 0;
  std::size_t reason_bytes = 0;
  /// Its outputs' places in `outputs`.
  std::uint32_t first_output = 0;
  std::uint32_t output_count = 0;
};

/// An emitted message. Its name, key and payload stand one after the other in the arena.
struct Emitted {
  std::uint32_t delivery = 0;
  std::uint32_t name_bytes = 0;
  std::uint32_t key_bytes = 0;
  std::uint32_t payload_bytes = 0;
  std::size_t at = 0;
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
  std::vector<Assigned> deliveries;

  std::vector<Outcome> outcomes;  ///< One for each delivery.
  std::vector<Emitted> outputs;   ///< In the order of the deliveries.
  std::string arena;
  TimePoint started_at{};
  Duration handle_time{};
  Histogram handle_times;
  /// Emitted by a task that no edge leaves.
  std::uint64_t dropped_outputs = 0;

  std::string_view reason(const Outcome& outcome) const {
    return std::string_view(arena).substr(outcome.reason_at, outcome.reason_bytes);
  }
  wire::Results::Output output(const Emitted& emitted) const {
    const std::string_view bytes = std::string_view(arena).substr(emitted.at);
    return {bytes.substr(0, emitted.name_bytes),
            bytes.substr(emitted.name_bytes, emitted.key_bytes),
            bytes.substr(emitted.name_bytes + emitted.key_bytes, emitted.payload_bytes)};
  }

  /// Empties it, keeping what its buffers hold unless that is uncommonly much.
  void clear() {
    constexpr std::size_t kKeptArenaBytes = 1ULL << 20;
    deliveries.clear();
    outcomes.clear();
    outputs.clear();
    arena.clear();
    if (arena.capacity() > kKeptArenaBytes) arena.shrink_to_fit();
    handle_time = Duration::zero();
    handle_times = Histogram{};
    dropped_outputs = 0;
  }
};

}  // namespace tempest::task_node
