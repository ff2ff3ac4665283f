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

std::string bytes_of(const SlotSet& slots) {
  std::string bytes(kKeySlots / 8, '\0');
  for (std::size_t i = 0; i < kKeySlots; ++i) {
    if (slots.test(i)) bytes[i / 8] = static_cast<char>(bytes[i / 8] | 1 << i % 8);
  }
  return bytes;
}

SlotSet slot_set_of(std::string_view bytes) {
  SlotSet slots;
  for (std::size_t i = 0; i < std::min(kKeySlots, bytes.size() * 8); ++i) {
    slots[i] = (static_cast<unsigned char>(bytes[i / 8]) >> i % 8 & 1) != 0;
  }
  return slots;
}

void KeyedQueues::assign(const SlotCandidates& candidates, std::uint64_t revision) {
  for (std::size_t i = 0; i < kKeySlots; ++i) {
    Slot& slot = slots_[i];
    const std::uint32_t listed = slot_owner(i, candidates.listed);
    std::string_view name = listed == kNowhere ? std::string_view() : candidates.listed[listed];
    bool is_stand_in = listed != kNowhere && candidates.given_up[listed];
    if (is_stand_in) {
      const std::uint32_t here = slot_owner(i, candidates.here);
      is_stand_in = here != kNowhere;
      if (is_stand_in) name = candidates.here[here];
    }
    if (slot.owner_name == name) continue;
    slot.owner_name = name;
    slot.owner = kNowhere;
    // A stand-in is this coordinator's own choice: there are no others to wait for.
    slot.moved_at = is_stand_in ? 0 : revision;
  }
}

void KeyedQueues::attach(std::string_view name, std::uint32_t worker) {
  for (Slot& slot : slots_) {
    if (slot.owner_name == name) slot.owner = worker;
  }
}

SlotSet KeyedQueues::strays() const {
  SlotSet strays;
  for (std::size_t i = 0; i < kKeySlots; ++i) strays[i] = slots_[i].has_strayed();
  return strays;
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
    if (waiting_.test(index) && !held_.test(index) && slots_[index].owner == worker &&
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
