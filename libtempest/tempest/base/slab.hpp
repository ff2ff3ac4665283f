#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "tempest/base/ids.hpp"

namespace tempest {

/// Records in one array, named by place and generation. Taking and releasing a place costs no
/// allocation once the slab has grown to the most that was ever live. A freed place is used again
/// in the order of freeing, so ids given out in a row are mostly consecutive and pack into runs.
///
/// References are good until the next create(). Not for several threads.
template <typename T, typename Id>
class Slab {
 public:
  /// A new record. Its id has not been used before by this slab (until a place has been used 2^32
  /// times).
  Id create(const T& value) { return create(T(value)); }
  Id create(T&& value) {
    if (free_count_ == 0) {
      entries_.emplace_back();
      const auto slot = static_cast<std::uint32_t>(entries_.size() - 1);
      entries_[slot].generation = 1;
      return occupy(slot, std::move(value));
    }
    const std::uint32_t slot = free_head_;
    free_head_ = entries_[slot].next_free;
    --free_count_;
    return occupy(slot, std::move(value));
  }

  /// The record of this id, or null if it is gone or never was.
  T* find(Id id) {
    if (id.slot >= entries_.size()) return nullptr;
    Entry& entry = entries_[id.slot];
    return entry.live && entry.generation == id.generation ? &entry.value : nullptr;
  }
  const T* find(Id id) const { return const_cast<Slab*>(this)->find(id); }

  /// The record in this place, which must be live.
  T& at(std::uint32_t slot) {
    assert(slot < entries_.size() && entries_[slot].live);
    return entries_[slot].value;
  }
  const T& at(std::uint32_t slot) const { return const_cast<Slab*>(this)->at(slot); }

  /// The current id of a live place.
  Id id_of(std::uint32_t slot) const {
    assert(slot < entries_.size() && entries_[slot].live);
    return {slot, entries_[slot].generation};
  }

  /// Keeps the record and gives it a new id: what still holds the old one holds nothing.
  Id renew(std::uint32_t slot) {
    assert(slot < entries_.size() && entries_[slot].live);
    ++entries_[slot].generation;
    return id_of(slot);
  }

  void release(std::uint32_t slot) {
    assert(slot < entries_.size() && entries_[slot].live);
    Entry& entry = entries_[slot];
    entry.live = false;
    entry.value = T{};
    ++entry.generation;
    entry.next_free = kEnd;
    if (free_count_ == 0) {
      free_head_ = slot;
    } else {
      entries_[free_tail_].next_free = slot;
    }
    free_tail_ = slot;
    ++free_count_;
  }

  std::size_t size() const { return entries_.size() - free_count_; }
  bool empty() const { return size() == 0; }

  /// Every live record, in the order of places: the same order in every run. visit(id, record) may
  /// release the record it is given, and no other.
  template <typename Visit>
  void for_each(Visit visit) {
    for (std::uint32_t slot = 0; slot < entries_.size(); ++slot) {
      if (entries_[slot].live) visit(id_of(slot), entries_[slot].value);
    }
  }

  /// Bytes held, for gauges.
  std::size_t memory_bytes() const { return entries_.capacity() * sizeof(Entry); }

 private:
  static constexpr std::uint32_t kEnd = 0x7fffffff;

  struct Entry {
    T value{};
    std::uint32_t generation = 0;
    std::uint32_t next_free : 31 = kEnd;
    std::uint32_t live : 1 = 0;
  };

  Id occupy(std::uint32_t slot, T&& value) {
    Entry& entry = entries_[slot];
    entry.value = std::move(value);
    entry.live = true;
    return {slot, entry.generation};
  }

  std::vector<Entry> entries_;
  std::uint32_t free_head_ = kEnd;
  std::uint32_t free_tail_ = kEnd;
  std::size_t free_count_ = 0;
};

}  // namespace tempest
