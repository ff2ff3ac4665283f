#include "tempest/tracking/trace_book.hpp"

#include "tempest/base/limits.hpp"

namespace tempest::tracking {
namespace {

using Kind = wire::Sighting::Kind;

std::uint64_t microseconds(Duration duration) {
  if (duration <= Duration::zero()) return 0;
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(duration).count());
}

Kind kind_of(wire::FailureKind failure) {
  switch (failure) {
    case wire::FailureKind::task_timeout:
      return Kind::task_timeout;
    case wire::FailureKind::worker_lost:
      return Kind::worker_lost;
    default:
      return Kind::error;
  }
}

}  // namespace

bool TraceBook::open(std::uint32_t slot, std::uint64_t message, TimePoint began) {
  if (trees_.size() >= kMaxTrees) return false;
  Tree& tree = trees_[slot];
  tree = {};
  tree.message = message;
  tree.opened = began;
  return true;
}

TraceBook::Tree* TraceBook::find(std::uint32_t slot, const Delivery& delivery, Entry*& entry) {
  const auto tree = trees_.find(delivery.tree);
  if (tree == trees_.end()) return nullptr;
  const auto found = tree->second.deliveries.find(slot);
  if (found == tree->second.deliveries.end()) return nullptr;
  entry = &found->second;
  return &tree->second;
}

wire::Sighting& TraceBook::see(const Tree& tree, Kind kind, TaskId task) {
  wire::Sighting& sighting = sightings_.emplace_back();
  sighting.message = tree.message;
  sighting.kind = kind;
  sighting.at_us = microseconds(now_ - tree.opened);
  if (task != kNoTask) sighting.task = graph_.node(task).name;
  return sighting;
}

wire::Sighting& TraceBook::see_end(const Tree& tree, const Entry& entry, Kind kind, TaskId task) {
  wire::Sighting& sighting = see(tree, kind, task);
  sighting.peer = entry.worker;
  sighting.delivery = entry.id;
  sighting.attempt = entry.attempt;
  if (entry.id != 0) {
    sighting.waited_us = microseconds(entry.sent_at - entry.ready_at);
    sighting.out_us = microseconds(now_ - entry.sent_at);
  }
  sighting.handled_us = entry.handled_us;
  return sighting;
}

void TraceBook::tree_done(std::uint32_t slot) {
  const auto found = trees_.find(slot);
  if (found == trees_.end()) return;
  see(found->second, Kind::tree_done, kNoTask).count = found->second.unmarked;
  trees_.erase(found);
}

void TraceBook::tree_failed(std::uint32_t slot, wire::FailureKind kind, TaskId task,
                            std::uint32_t attempts, std::string_view worker,
                            std::string_view reason) {
  const auto found = trees_.find(slot);
  if (found == trees_.end()) return;
  wire::Sighting& sighting = see(found->second, Kind::tree_failed, task);
  sighting.failure = kind;
  sighting.attempt = attempts;
  sighting.peer = worker;
  sighting.text = reason;
  sighting.count = found->second.unmarked;
  trees_.erase(found);
}

void TraceBook::ready(std::uint32_t slot, Delivery& delivery) {
  const auto found = trees_.find(delivery.tree);
  if (found == trees_.end()) return;
  Tree& tree = found->second;
  if (!delivery.traced) {
    if (tree.marked == kMaxDeliveriesOfTree) {
      ++tree.unmarked;
      return;
    }
    ++tree.marked;
    delivery.traced = true;
  }
  tree.deliveries[slot].ready_at = now_;
}

void TraceBook::handed_out(DeliveryId id, const Delivery& delivery, std::string_view worker) {
  Entry* entry = nullptr;
  const Tree* tree = find(id.slot, delivery, entry);
  if (tree == nullptr) return;
  entry->sent_at = now_;
  entry->id = id.packed();
  entry->worker = worker;
  entry->attempt = delivery.attempt;
  entry->handled_us = 0;
  wire::Sighting& sighting = see(*tree, Kind::handed_out, delivery.task);
  sighting.peer = worker;
  sighting.delivery = id.packed();
  sighting.attempt = delivery.attempt;
  sighting.waited_us = microseconds(now_ - entry->ready_at);
}

void TraceBook::handled(DeliveryId id, const Delivery& delivery, std::uint32_t handled_us) {
  Entry* entry = nullptr;
  if (find(id.slot, delivery, entry) != nullptr) entry->handled_us = handled_us;
}

void TraceBook::done(std::uint32_t slot, const Delivery& delivery, std::size_t outputs) {
  Entry* entry = nullptr;
  Tree* tree = find(slot, delivery, entry);
  if (tree == nullptr) return;
  see_end(*tree, *entry, Kind::done, delivery.task).count = outputs;
  tree->deliveries.erase(slot);
}

void TraceBook::failed(std::uint32_t slot, const Delivery& delivery, const Failure& failure) {
  Entry* entry = nullptr;
  const Tree* tree = find(slot, delivery, entry);
  if (tree == nullptr) return;
  wire::Sighting& sighting = see_end(*tree, *entry, kind_of(failure.kind), delivery.task);
  sighting.failure = failure.kind;
  sighting.next = failure.next;
  sighting.text = failure.reason.substr(0, kMaxReasonBytes);
  sighting.again_us = microseconds(failure.again);
  // The end of its tree, if it is one, is the tracker's to say.
}

void TraceBook::returned(std::uint32_t slot, const Delivery& delivery, std::string_view why) {
  Entry* entry = nullptr;
  const Tree* tree = find(slot, delivery, entry);
  if (tree == nullptr) return;
  see_end(*tree, *entry, Kind::returned, delivery.task).text = why;
  entry->ready_at = now_;
}

void TraceBook::forget(std::uint32_t slot, Delivery& delivery) {
  delivery.traced = false;
  const auto found = trees_.find(delivery.tree);
  if (found != trees_.end()) found->second.deliveries.erase(slot);
}

}  // namespace tempest::tracking
