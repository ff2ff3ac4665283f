#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>

namespace tempest::builtin {

/// The lines that were given out and not yet acked, by their running numbers, with the place of
/// each in its file. Lines may be acked in any order. Its owner adds them in theirs.
class UnackedLines {
 public:
  struct Place {
    std::uint32_t file = 0;  ///< A number of the owner's choosing.
    std::uint64_t offset = 0;
    std::uint64_t tail_hash = 0;  ///< Fingerprint::tail_hash of the place.
  };

  /// Adds the line after the last one that was added.
  void add(std::uint64_t line, const Place& place);
  /// Acks a line; one that is not here was acked before.
  void acked(std::uint64_t line);

  bool empty() const { return entries_.empty() && stragglers_.empty(); }
  /// The number of the oldest one. Not of an empty one.
  std::uint64_t oldest_line() const {
    return stragglers_.empty() ? first_line_ : stragglers_.begin()->first;
  }
  /// The place of the oldest line of a file.
  std::optional<Place> oldest_of(std::uint32_t file) const;
  /// How many there are of a file.
  std::uint64_t count_of(std::uint32_t file) const;

 private:
  struct Entry {
    Place place;
    bool is_acked = false;
  };

  void drop_acked();
  void count_acked(std::uint32_t file);

  /// Lines that stay unacked while a great many after them are acked.
  std::map<std::uint64_t, Place> stragglers_;
  std::deque<Entry> entries_;  ///< Of first_line_ and those after it; the first is not acked.
  std::uint64_t first_line_ = 0;
  std::map<std::uint32_t, std::uint64_t> counts_;  ///< By file, none of zero.
};

}  // namespace tempest::builtin
