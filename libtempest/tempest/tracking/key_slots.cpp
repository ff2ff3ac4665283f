#include "tempest/tracking/key_slots.hpp"

#include <algorithm>

#include "tempest/base/hash.hpp"
#include "tempest/base/random.hpp"

namespace tempest::tracking {

static_assert(kKeySlots == 256, "Delivery::key_slot is one byte");

std::uint8_t key_slot_of(std::string_view key, std::string_view payload) {
  return static_cast<std::uint8_t>(hash_bytes(key.empty() ? payload : key) % kKeySlots);
}

std::uint32_t slot_owner(std::size_t slot, std::span<const std::string> names) {
  std::uint32_t best = kNowhere;
  std::uint64_t best_score = 0;
  for (std::uint32_t i = 0; i < names.size(); ++i) {
    const std::uint64_t score = Random(hash_bytes(names[i]) + slot).next();
    if (best == kNowhere || score > best_score || (score == best_score && names[i] < names[best])) {
      best = i;
      best_score = score;
    }
  }
  return best;
}

void KeyedQueues::assign(std::span<const std::string> names, std::uint64_t revision) {
  for (std::size_t i = 0; i < kKeySlots; ++i) {
    Slot& slot = slots_[i];
    const std::uint32_t owner = slot_owner(i, names);
    const std::string_view name = owner == kNowhere ? std::string_view() : names[owner];
    if (slot.owner_name == name) continue;
    slot.owner_name = name;
    slot.owner = kNowhere;
    slot.moved_at = revision;
  }
}

void KeyedQueues::attach(std::string_view name, std::uint32_t worker) {
  for (Slot& slot : slots_) {
    if (slot.owner_name == name) slot.owner = worker;
  }
}

bool KeyedQueues::settled() const {
  return std::all_of(slots_.begin(), slots_.end(), [](const Slot& slot) { return slot.settled(); });
}

void KeyedQueues::joined(std::size_t slot) {
  waiting_.set(slot);
  ++queued_;
}

void KeyedQueues::left(std::size_t slot) {
  if (slots_[slot].queue.empty()) waiting_.reset(slot);
  --queued_;
}

void KeyedQueues::slots_in_turn(std::uint32_t worker, std::uint64_t settled_revision,
                                std::vector<std::size_t>& slots) const {
  slots.clear();
  const std::size_t first = worker < next_slot_.size() ? next_slot_[worker] : 0;
  for (std::size_t i = 0; i < kKeySlots; ++i) {
    const std::size_t index = (first + i) % kKeySlots;
    if (waiting_.test(index) && slots_[index].owner == worker &&
        slots_[index].may_send(settled_revision)) {
      slots.push_back(index);
    }
  }
}

void KeyedQueues::turn_ended(std::uint32_t worker, std::size_t slot) {
  if (next_slot_.size() <= worker) next_slot_.resize(worker + 1);
  next_slot_[worker] = (slot + 1) % kKeySlots;
  if (slots_[slot].queue.empty()) waiting_.reset(slot);
}

}  // namespace tempest::tracking
