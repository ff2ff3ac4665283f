#pragma once

#include <cassert>
#include <cstdint>

#include "tempest/base/ids.hpp"
#include "tempest/base/limits.hpp"
#include "tempest/base/loosely_aligned.hpp"
#include "tempest/base/slab.hpp"
#include "tempest/base/time.hpp"
#include "tempest/tracking/payload.hpp"

namespace tempest::tracking {

/// No place: the end of a list.
inline constexpr std::uint32_t kNowhere = 0xffffffff;

/// So that Delivery::attempt holds the most that there may be.
inline constexpr unsigned kAttemptBits = 20;
static_assert(kMaxAttempts < (1U << kAttemptBits));

/// Where a delivery is. It is in at most one list, that of its state.
enum class DeliveryState : std::uint8_t {
  detached,   ///< In no list: being moved from one to another.
  ready,      ///< Waits for a worker, in a queue of the scheduler.
  in_flight,  ///< At a worker, in that worker's list.
  held,       ///< Gathered: waits until all ancestors of its task are done with the tree.
  delayed,    ///< Waits for its next attempt.
  member,     ///< Part of another delivery, with gather = "all".
  orphan,     ///< At a worker, but its tree is over: only the worker's credit is still counted.
};

/// No worker.
inline constexpr std::uint16_t kNoWorker = 0xffff;
static_assert(kMaxNodes < kNoWorker, "a worker's number fits Delivery::worker");

/// One message on its way to one task. There may be millions, so it is packed: no member needs more
/// than 4-byte alignment, times lie loosely, and numbers are as long as their bounds ask for. It
/// stays one record for all that may happen to a delivery: what is rare (more time asked for, what
/// is traced, failures that are tolerated) stands in maps of the tracker, by slot.
struct Delivery {
  static constexpr bool kMovesAsBytes = true;  ///< See Slab.

  std::uint32_t tree = kNowhere;
  /// Neighbours in the list of its state.
  std::uint32_t previous = kNowhere;
  std::uint32_t next = kNowhere;
  /// Neighbours in its tree's list of deliveries.
  std::uint32_t tree_previous = kNowhere;
  std::uint32_t tree_next = kNowhere;
  /// With gather = "all": the first of the deliveries that go in the same call, after this.
  std::uint32_t members = kNowhere;
  /// In flight, and ready again after that: when it was sent, as a number that wraps around.
  std::uint32_t sent_number = 0;
  /// In flight: when it was sent. Delayed: when it is due.
  LooselyAligned<TimePoint> since;
  Payload payload;
  TaskId task{};
  EdgeId edge = kNoEdge;
  /// In flight: at which worker.
  std::uint16_t worker = kNoWorker;
  DeliveryState state = DeliveryState::detached;
  std::uint8_t key_slot = 0;
  std::uint32_t attempt : kAttemptBits = 1;
  /// Workers that were lost while they had it, up to 255.
  std::uint32_t losses : 8 = 0;
  /// In flight, and its worker has said that it runs it now and nothing else.
  bool started : 1 = false;
  /// Of a traced tree, and noted in the TraceBook.
  bool traced : 1 = false;
  /// A call of it took longer than it may: to be run in a call of its own.
  bool single : 1 = false;
};
static_assert(sizeof(Delivery) == 56);

/// True if `delivery` was sent after `other`.
inline bool was_sent_after(const Delivery& delivery, const Delivery& other) {
  return static_cast<std::int32_t>(delivery.sent_number - other.sent_number) > 0;
}

/// True if it may be what its workers died of: run alone from now on, so that the next loss says
/// whether it was. One loss is no suspicion: workers are lost for many reasons, and have much in
/// flight.
inline bool is_suspect(const Delivery& delivery) {
  return delivery.losses >= 2;
}

/// A list of deliveries, threaded through their records.
struct DeliveryList {
  std::uint32_t head = kNowhere;
  std::uint32_t tail = kNowhere;
  std::uint32_t size = 0;

  bool empty() const { return size == 0; }
};

/// Every delivery of a coordinator, and the moving of them from list to list. Moving costs no
/// allocation.
class DeliveryTable {
 public:
  DeliveryId create(Delivery&& delivery) { return slab_.create(std::move(delivery)); }
  DeliveryId create() { return slab_.create(); }
  void release(std::uint32_t slot) { slab_.release(slot); }

  Delivery* find(DeliveryId id) { return slab_.find(id); }
  Delivery& at(std::uint32_t slot) { return slab_.at(slot); }
  DeliveryId id_of(std::uint32_t slot) const { return slab_.id_of(slot); }
  /// A new attempt: whatever comes back under the old id matches nothing.
  void renew(std::uint32_t slot) { slab_.renew(slot); }
  std::size_t size() const { return slab_.size(); }
  /// Calls visit(delivery) for each.
  template <typename Visit>
  void for_each(Visit visit) const {
    // The slab's own walk is for writers; this one only looks.
    const_cast<DeliveryTable*>(this)->slab_.for_each(
        [&visit](DeliveryId, const Delivery& delivery) { visit(delivery); });
  }
  std::size_t memory_bytes() const { return slab_.memory_bytes(); }
  static constexpr std::size_t bytes_per_delivery() {
    return Slab<Delivery, DeliveryId>::bytes_per_record();
  }

  void push_back(DeliveryList& list, std::uint32_t slot, DeliveryState state) {
    Delivery& delivery = slab_.at(slot);
    assert(delivery.state == DeliveryState::detached);
    delivery.state = state;
    delivery.previous = list.tail;
    delivery.next = kNowhere;
    (list.tail == kNowhere ? list.head : slab_.at(list.tail).next) = slot;
    list.tail = slot;
    ++list.size;
  }
  void push_front(DeliveryList& list, std::uint32_t slot, DeliveryState state);
  /// Moves deliveries from the front of one list to the end of another, in their order, as long as
  /// `take(delivery, slot)` is true of the first.
  template <typename Take>
  void move_front(DeliveryList& from, DeliveryList& to, DeliveryState state, Take take) {
    const std::uint32_t first = from.head;
    std::uint32_t last = kNowhere;
    std::uint32_t next = first;
    std::uint32_t count = 0;
    while (next != kNowhere) {
      Delivery& delivery = slab_.at(next);
      if (!take(delivery, next)) break;
      delivery.state = state;
      last = next;
      next = delivery.next;
      ++count;
    }
    if (count == 0) return;
    // Between them nothing changes.
    slab_.at(first).previous = to.tail;
    slab_.at(last).next = kNowhere;
    (to.tail == kNowhere ? to.head : slab_.at(to.tail).next) = first;
    to.tail = last;
    to.size += count;
    from.head = next;
    (next == kNowhere ? from.tail : slab_.at(next).previous) = kNowhere;
    from.size -= count;
  }
  /// Behind `before`, which must be in this list.
  void insert_after(DeliveryList& list, std::uint32_t before, std::uint32_t slot,
                    DeliveryState state);
  /// Takes it out of the list it is in, which must be this one.
  void remove(DeliveryList& list, std::uint32_t slot) {
    Delivery& delivery = slab_.at(slot);
    assert(delivery.state != DeliveryState::detached && list.size > 0);
    const std::uint32_t previous = delivery.previous;
    const std::uint32_t next = delivery.next;
    (previous == kNowhere ? list.head : slab_.at(previous).next) = next;
    (next == kNowhere ? list.tail : slab_.at(next).previous) = previous;
    delivery.state = DeliveryState::detached;
    --list.size;
  }

 private:
  Slab<Delivery, DeliveryId> slab_;
};

}  // namespace tempest::tracking
