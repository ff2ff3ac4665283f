#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "tempest/base/ids.hpp"
#include "tempest/base/time.hpp"
#include "tempest/dag/graph.hpp"
#include "tempest/tracking/delivery_table.hpp"
#include "tempest/wire/frames.hpp"

namespace tempest::tracking {

/// What a coordinator notes of the few trees that are traced: each attempt of each delivery, from
/// when it was ready to its end. The tracker calls it for deliveries marked `traced` only, and the
/// mark is this book's to give: so what is not traced costs nothing but to see that it is not.
///
/// Bounded: so many trees, and so many sightings of each; beyond, deliveries are not marked.
class TraceBook {
 public:
  static constexpr std::size_t kMaxTrees = 4'096;
  static constexpr std::size_t kMaxDeliveriesOfTree = 1'000;

  explicit TraceBook(const dag::Graph& graph) : graph_(graph) {}

  /// The time of all that follows.
  void set_time(TimePoint now) { now_ = now; }

  // --- Trees ---

  /// It began at this time. False: there are too many already.
  bool open(std::uint32_t tree, std::uint64_t message, TimePoint began);
  void tree_done(std::uint32_t tree);
  void tree_failed(std::uint32_t tree, wire::FailureKind kind, TaskId task, std::uint32_t attempts,
                   std::string_view worker, std::string_view reason);
  /// Nothing of it is traced any more.
  void close(std::uint32_t tree) { trees_.erase(tree); }

  // --- Deliveries of traced trees ---

  /// It waits for a worker from now on. Marks it, if it is new and there is room.
  void ready(std::uint32_t slot, Delivery& delivery);
  void handed_out(DeliveryId id, const Delivery& delivery, std::string_view worker);
  /// How long it took, as its worker says: before its end is noted.
  void handled(DeliveryId id, const Delivery& delivery, std::uint32_t handled_us);
  /// It is done, with so many outputs, and over.
  void done(std::uint32_t slot, const Delivery& delivery, std::size_t outputs);
  struct Failure {
    wire::FailureKind kind{};
    std::string_view reason;
    wire::Sighting::Next next{};
    Duration again{0};
  };
  void failed(std::uint32_t slot, const Delivery& delivery, const Failure& failure);
  /// Its worker gave it back, or is lost; it waits again.
  void returned(std::uint32_t slot, const Delivery& delivery, std::string_view why);
  /// It goes with another, in the same call.
  void forget(std::uint32_t slot, Delivery& delivery);

  /// What has been seen; emptied by the caller.
  std::vector<wire::Sighting>& sightings() { return sightings_; }

 private:
  struct Entry {
    TimePoint ready_at{};
    TimePoint sent_at{};
    std::uint64_t id = 0;  ///< Of the attempt that was handed out last.
    std::string worker;
    std::uint32_t attempt = 1;
    std::uint32_t handled_us = 0;
  };
  struct Tree {
    std::uint64_t message = 0;
    TimePoint opened{};
    std::size_t marked = 0;
    std::size_t unmarked = 0;
    std::map<std::uint32_t, Entry> deliveries;  ///< By slot.
  };

  /// The tree and the entry; null if it is not known (any more).
  Tree* find(std::uint32_t slot, const Delivery& delivery, Entry*& entry);
  wire::Sighting& see(const Tree& tree, wire::Sighting::Kind kind, TaskId task);
  wire::Sighting& see_end(const Tree& tree, const Entry& entry, wire::Sighting::Kind kind,
                          TaskId task);

  const dag::Graph& graph_;
  TimePoint now_{};
  std::map<std::uint32_t, Tree> trees_;  ///< By slot.
  std::vector<wire::Sighting> sightings_;
};

}  // namespace tempest::tracking
