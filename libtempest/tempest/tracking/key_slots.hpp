#pragma once

#include <array>
#include <bitset>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tempest/base/limits.hpp"
#include "tempest/tracking/delivery_table.hpp"
#include "tempest/tracking/waiting_line.hpp"

namespace tempest::tracking {

/// The slot of a key: the message's key, or its payload if that is empty.
std::uint8_t key_slot_of(std::string_view key, std::string_view payload);

/// Which of these workers owns a slot: the one with the highest score for it (rendezvous hashing,
/// Thaler & Ravishankar, "A name-based mapping scheme for rendezvous", 1996). Every coordinator
/// that sees the same names comes to the same answer, and when a worker comes or goes only the
/// slots it gains or leaves move. Gives the place in `names`, or kNowhere if there are none.
std::uint32_t slot_owner(std::size_t slot, std::span<const std::string> names);

using SlotSet = std::bitset<kKeySlots>;

/// As frames carry it: the bits of slots 0 to 7 in the first byte, and so on.
std::string bytes_of(const SlotSet& slots);
SlotSet slot_set_of(std::string_view bytes);

/// The workers of one task that may own its slots, by name.
struct SlotCandidates {
  std::vector<std::string> listed;  ///< By what the directory says: alike at every coordinator.
  std::vector<bool> given_up;       ///< Of `listed`: has not been attached here for too long.
  std::vector<std::string> here;    ///< Those that are attached here.
};

/// The queues of one task with grouping = "key": one for each slot, and for each slot who owns it,
/// who has deliveries of it in flight, and since when it has moved.
///
/// A slot's deliveries go to its owner only when nothing of it is in flight elsewhere, here or at
/// another coordinator: the latter is what `settled_revision` and set_held() say. Until then they
/// wait. Each slot waits for itself alone.
class KeyedQueues {
 public:
  struct Slot {
    WaitingLine queue;
    std::uint32_t in_flight = 0;
    std::uint32_t sent_to = kNowhere;  ///< Good while in_flight > 0.
    std::uint32_t owner = kNowhere;    ///< The attached worker that owns it.
    std::string owner_name;
    std::uint64_t moved_at = 0;  ///< The slots_revision at which its owner changed.

    bool may_send(std::uint64_t settled_revision) const {
      return owner != kNowhere && moved_at <= settled_revision && !has_strayed();
    }
    /// Something of it is in flight at a worker that does not own it.
    bool has_strayed() const { return in_flight > 0 && sent_to != owner; }
  };

  Slot& slot(std::size_t index) { return slots_[index]; }
  const Slot& slot(std::size_t index) const { return slots_[index]; }

  /// Owners by name: for each slot the one of the listed workers that wins it, or, if that has been
  /// given up here, the one that does of those that are here. Slots that get another owner by the
  /// list are marked as moved at this revision.
  void assign(const SlotCandidates& candidates, std::uint64_t revision);
  /// An attached worker of this name, or kNowhere when it is gone.
  void attach(std::string_view name, std::uint32_t worker);

  /// The slots that have something in flight at a worker that does not own them.
  SlotSet strays() const;
  /// These have something in flight at another coordinator, at a worker that does not own them.
  void set_held(const SlotSet& slots) { held_ = slots; }
  const SlotSet& held() const { return held_; }
  bool is_waiting(std::size_t slot) const { return waiting_.test(slot); }
  std::size_t queued() const { return queued_; }

  /// The line in which a delivery waits, or is to.
  WaitingLine& line_of(const Delivery& delivery) { return slots_[delivery.key_slot].queue; }
  /// One delivery has joined the line of this slot, or left it.
  void joined(std::size_t slot);
  void left(std::size_t slot);

  /// The slots with something that may be sent to this worker now, in the order in which it is
  /// their turn: from where the last turn ended, so that no slot waits for ever behind busier ones
  /// while the worker's window is small.
  void slots_in_turn(std::uint32_t worker, std::uint64_t settled_revision,
                     std::vector<std::size_t>& slots) const;
  /// This slot has had its turn at the worker, which may have taken the last of its line.
  void turn_ended(std::uint32_t worker, std::size_t slot);

 private:
  std::array<Slot, kKeySlots> slots_;
  SlotSet waiting_;  ///< Slots whose line is not empty.
  SlotSet held_;
  std::size_t queued_ = 0;
  std::vector<std::size_t> next_slot_;  ///< By worker: whose turn it is.
};

}  // namespace tempest::tracking
