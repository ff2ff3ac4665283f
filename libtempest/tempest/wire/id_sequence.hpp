#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "tempest/base/limits.hpp"
#include "tempest/wire/reader.hpp"
#include "tempest/wire/writer.hpp"

/// Ids are mostly handed out in a row, and so mostly come in a row. For the codec only.
namespace tempest::wire {

/// The id of one item after another: nil stands for the number after the one before.
class IdWriter {
 public:
  explicit IdWriter(Writer& writer) : writer_(writer) {}

  void put(std::uint64_t packed) {
    if (is_next(packed)) {
      writer_.nil();
    } else {
      writer_.integer(packed);
    }
    first_ = false;
    next_ = packed + 1;
  }
  /// True if this one follows on the last: one_byte::kNil stands for it.
  bool is_next(std::uint64_t packed) const { return packed == next_ && !first_; }
  /// That has been written.
  void has_put_next() { ++next_; }
  /// `count` ids in a row have been put, not just the one.
  void advance(std::uint64_t count) { next_ += count - 1; }

 private:
  Writer& writer_;
  std::uint64_t next_ = 0;
  bool first_ = true;
};

class IdReader {
 public:
  explicit IdReader(Reader& reader) : reader_(reader) {}

  std::uint64_t take() {
    if (!reader_.take_nil()) {
      next_ = reader_.integer();
    } else if (first_) {
      reader_.fail("the first id of a frame is left out");
    }
    first_ = false;
    return next_++;
  }
  /// True if there has been one that the next can follow on.
  bool may_follow() const { return !first_; }
  /// one_byte::kNil has been read, where it may be.
  std::uint64_t take_next() { return next_++; }
  void advance(std::uint64_t count) { next_ += count - 1; }

 private:
  Reader& reader_;
  std::uint64_t next_ = 0;
  bool first_ = true;
};

/// How many ids from this one on are consecutive numbers.
template <typename Items, typename PackedId>
std::size_t run_length(const Items& items, std::size_t first, PackedId packed) {
  std::size_t end = first + 1;
  while (end < items.size() && packed(items[end]) == packed(items[end - 1]) + 1) ++end;
  return end - first;
}

/// A list of ids as [first, count, first, count, ...].
template <typename Id>
void put_runs(const std::vector<Id>& ids, Writer& writer) {
  const auto packed = [](Id id) { return id.packed(); };
  std::size_t runs = 0;
  for (std::size_t at = 0; at < ids.size(); at += run_length(ids, at, packed)) ++runs;
  writer.array(2 * runs);
  for (std::size_t at = 0; at < ids.size();) {
    const std::size_t length = run_length(ids, at, packed);
    writer.integer(ids[at].packed());
    writer.integer(length);
    at += length;
  }
}

template <typename Id>
void read_runs(Reader& reader, std::vector<Id>& ids) {
  const std::size_t values = reader.array(2 * kMaxFrameItems);
  if (values % 2 != 0) reader.fail("a run of ids without its length");
  ids.clear();
  for (std::size_t i = 0; i < values && reader.ok(); i += 2) {
    const std::uint64_t first = reader.integer();
    const std::uint64_t length = reader.integer(kMaxFrameItems - ids.size());
    for (std::uint64_t k = 0; k < length; ++k) ids.push_back(Id::unpack(first + k));
  }
}

}  // namespace tempest::wire
