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

/// The queues of one task with grouping = "key": one for each slot, and for each slot who owns it,
/// who has deliveries of it in flight, and since when it has moved.
///
/// A slot's deliveries go to its owner only when nothing of it is in flight elsewhere, here or at
/// another coordinator: the latter is what `settled_revision` says. Until then they wait.
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
      return owner != kNowhere && moved_at <= settled_revision &&
             (in_flight == 0 || sent_to == owner);
    }
    /// Nothing of it is in flight at somebody who no longer owns it.
    bool settled() const { return in_flight == 0 || sent_to == owner; }
  };

  Slot& slot(std::size_t index) { return slots_[index]; }
  const Slot& slot(std::size_t index) const { return slots_[index]; }

  /// Owners by name, from the directory's workers that serve the task. Slots that get another
  /// owner are marked as moved at this revision.
  void assign(std::span<const std::string> names, std::uint64_t revision);
  /// An attached worker of this name, or kNowhere when it is gone.
  void attach(std::string_view name, std::uint32_t worker);

  bool settled() const;
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
  std::bitset<kKeySlots> waiting_;  ///< Slots whose line is not empty.
  std::size_t queued_ = 0;
  std::vector<std::size_t> next_slot_;  ///< By worker: whose turn it is.
};

}  // namespace tempest::tracking
