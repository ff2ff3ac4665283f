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

void KeyedQueues::push(DeliveryTable& table, std::uint32_t delivery, bool front) {
  const std::size_t index = table.at(delivery).key_slot;
  DeliveryList& queue = slots_[index].queue;
  if (front) {
    table.push_front(queue, delivery, DeliveryState::ready);
  } else {
    table.push_back(queue, delivery, DeliveryState::ready);
  }
  waiting_.set(index);
  ++queued_;
}

void KeyedQueues::remove(DeliveryTable& table, std::uint32_t delivery) {
  const std::size_t index = table.at(delivery).key_slot;
  DeliveryList& queue = slots_[index].queue;
  table.remove(queue, delivery);
  if (queue.empty()) waiting_.reset(index);
  --queued_;
}

}  // namespace tempest::tracking
