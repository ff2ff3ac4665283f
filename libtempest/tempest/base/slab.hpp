#pragma once

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

#include "tempest/base/ids.hpp"

namespace tempest {

/// True of records that may be moved by copying their bytes and forgetting the original. A type
/// that is not trivially copyable says so by a member `static constexpr bool kMovesAsBytes = true`.
template <typename T>
inline constexpr bool kMovesAsBytes = std::is_trivially_copyable_v<T>;
template <typename T>
requires requires {
  T::kMovesAsBytes;
}
inline constexpr bool kMovesAsBytes<T> = T::kMovesAsBytes;

/// Records in one array, named by place and generation. Taking and releasing a place costs no
/// allocation once the slab has grown to the most that was ever live. A freed place is used again
/// in the order of freeing, so ids given out in a row are mostly consecutive and pack into runs.
///
/// A place costs four bytes beyond its record: the generation and whether it is live, in one
/// number. A free place keeps the next free one where its record was. Records that move as bytes
/// are not copied when a large slab grows: the pages are moved.
///
/// References are good until the next create(). Not for several threads.
template <typename T, typename Id>
class Slab {
 public:
  Slab() = default;
  ~Slab() {
    for (std::uint32_t slot = 0; slot < used_; ++slot) {
      if (is_live(slot)) std::destroy_at(&entries_[slot].value);
    }
    std::free(static_cast<void*>(entries_));
  }
  Slab(const Slab&) = delete;
  Slab& operator=(const Slab&) = delete;

  /// A new record. Its id has not been used before by this slab (until a place has been used 2^31
  /// times).
  Id create(const T& value) { return create(T(value)); }
  Id create(T&& value) {
    const std::uint32_t slot = take_place();
    std::construct_at(&entries_[slot].value, std::move(value));
    return id_of(slot);
  }
  /// The same, of a record as it is by default, to be filled in where it is.
  Id create() {
    const std::uint32_t slot = take_place();
    std::construct_at(&entries_[slot].value);
    return id_of(slot);
  }

  /// The record of this id, or null if it is gone or never was.
  T* find(Id id) {
    if (id.slot >= used_) return nullptr;
    Entry& entry = entries_[id.slot];
    return entry.times_changed == times_changed_of(id) ? &entry.value : nullptr;
  }
  const T* find(Id id) const { return const_cast<Slab*>(this)->find(id); }

  /// The record in this place, which must be live. (Places come from this slab itself; what a peer
  /// says goes through find(), which believes nothing.)
  T& at(std::uint32_t slot) {
    assert(is_live(slot));
    return entries_[slot].value;
  }
  const T& at(std::uint32_t slot) const { return const_cast<Slab*>(this)->at(slot); }

  /// The current id of a live place.
  Id id_of(std::uint32_t slot) const {
    assert(is_live(slot));
    return {slot, entries_[slot].times_changed >> 1};
  }

  /// Keeps the record and gives it a new id: what still holds the old one holds nothing.
  Id renew(std::uint32_t slot) {
    assert(is_live(slot));
    entries_[slot].times_changed += 2;
    return id_of(slot);
  }

  void release(std::uint32_t slot) {
    assert(is_live(slot));
    Entry& entry = entries_[slot];
    std::destroy_at(&entry.value);
    ++entry.times_changed;
    std::construct_at(&entry.next_free, kEnd);
    if (free_count_ == 0) {
      free_head_ = slot;
    } else {
      entries_[free_tail_].next_free = slot;
    }
    free_tail_ = slot;
    ++free_count_;
  }

  std::size_t size() const { return used_ - free_count_; }
  bool empty() const { return size() == 0; }

  /// Every live record, in the order of places: the same order in every run. visit(id, record) may
  /// release the record it is given, and no other.
  template <typename Visit>
  void for_each(Visit visit) {
    for (std::uint32_t slot = 0; slot < used_; ++slot) {
      if (is_live(slot)) visit(id_of(slot), entries_[slot].value);
    }
  }

  /// Bytes held, for gauges.
  std::size_t memory_bytes() const { return std::size_t{capacity_} * sizeof(Entry); }

  /// What a record costs here.
  static constexpr std::size_t bytes_per_record() { return sizeof(Entry); }

 private:
  static constexpr std::uint32_t kEnd = 0xffffffff;
  static constexpr std::uint32_t kFirstCapacity = 16;
  // Beyond, a slab whose records move as bytes grows by an eighth, and not to twice its size.
  static constexpr std::uint32_t kDoubledUpTo = 1U << 14;

  struct Entry {
    Entry() {}
    ~Entry() {}
    union {
      T value;                  ///< Of a live place.
      std::uint32_t next_free;  ///< Of a free one: whose turn it is after it.
    };
    /// Twice the generation, and one more while it is live: grows by one whenever a record comes or
    /// goes.
    std::uint32_t times_changed;
  };

  bool is_live(std::uint32_t slot) const { return (entries_[slot].times_changed & 1) != 0; }
  // In 64 bits: the generation is the peers' word, and must not lose its highest bit here.
  static std::uint64_t times_changed_of(Id id) { return (std::uint64_t{id.generation} << 1) | 1; }

  std::uint32_t take_place() {
    std::uint32_t slot = used_;
    if (free_count_ == 0) {
      if (used_ == capacity_) grow();
      entries_[used_++].times_changed = 2;
    } else {
      slot = free_head_;
      free_head_ = entries_[slot].next_free;
      --free_count_;
    }
    ++entries_[slot].times_changed;
    return slot;
  }

  void grow() {
    static_assert(alignof(Entry) <= alignof(std::max_align_t));
    const bool doubles = !kMovesAsBytes<T> || capacity_ < kDoubledUpTo;
    const std::uint32_t more = doubles ? capacity_ : capacity_ / 8;
    const std::uint32_t capacity = std::max(capacity_ + more, kFirstCapacity);
    const std::size_t bytes = std::size_t{capacity} * sizeof(Entry);
    void* memory = nullptr;
    if constexpr (kMovesAsBytes<T>) {
      memory = std::realloc(static_cast<void*>(entries_), bytes);
      if (memory == nullptr) throw std::bad_alloc();
    } else {
      memory = std::malloc(bytes);
      if (memory == nullptr) throw std::bad_alloc();
      move_to(static_cast<Entry*>(memory));
      std::free(static_cast<void*>(entries_));
    }
    entries_ = static_cast<Entry*>(memory);
    capacity_ = capacity;
  }

  void move_to(Entry* entries) {
    for (std::uint32_t slot = 0; slot < used_; ++slot) {
      entries[slot].times_changed = entries_[slot].times_changed;
      if (is_live(slot)) {
        std::construct_at(&entries[slot].value, std::move(entries_[slot].value));
        std::destroy_at(&entries_[slot].value);
      } else {
        std::construct_at(&entries[slot].next_free, entries_[slot].next_free);
      }
    }
  }

  Entry* entries_ = nullptr;
  std::uint32_t used_ = 0;  ///< Places that have ever been used.
  std::uint32_t capacity_ = 0;
  std::uint32_t free_head_ = kEnd;
  std::uint32_t free_tail_ = kEnd;
  std::uint32_t free_count_ = 0;
};

}  // namespace tempest
