#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>

#include "tempest/base/ids.hpp"
#include "tempest/base/time.hpp"
#include "tempest/tracking/payload.hpp"

namespace tempest::tracking {

/// Messages that have come and wait, first come, first served, until there is something to do with
/// them: each costs 16 bytes beyond its payload, where a tree and its delivery cost a hundred. Who
/// sent them, and when they came, is kept once for all that came together.
class Backlog {
 public:
  struct Message {
    PeerId owner;
    MessageId id;
    Payload payload;
    TimePoint came{};
    std::uint64_t trace = 0;  ///< As what it is traced; 0: it is not.
  };

  bool empty() const { return size_ == 0; }
  std::size_t size() const { return size_; }
  /// Of all payloads and keys.
  std::size_t size_bytes() const { return size_bytes_; }
  /// When the first one came. There must be one.
  TimePoint oldest() const { return runs_.front().came; }

  void push(PeerId owner, MessageId id, const Payload& payload, TimePoint now, std::uint64_t trace);
  /// The first one. There must be one.
  Message pop();
  /// All of this owner's go; how many there were.
  std::size_t forget(PeerId owner);

  std::size_t memory_bytes() const { return chunks_.size() * sizeof(Chunk); }

 private:
  struct Item {
    MessageId id;
    Payload payload;
  };
  static_assert(sizeof(Item) == 16);
  using Chunk = std::array<Item, 4'096>;
  struct Run {
    PeerId owner;
    TimePoint came{};
    std::size_t count = 0;
  };

  std::deque<std::unique_ptr<Chunk>> chunks_;
  std::size_t first_ = 0;  ///< Where the first one is, in the first chunk.
  std::size_t size_ = 0;
  std::size_t size_bytes_ = 0;
  std::uint64_t popped_ = 0;  ///< So many have gone before the first one.
  std::deque<Run> runs_;
  std::map<std::uint64_t, std::uint64_t> traced_;  ///< By the number of those that came before.
};

}  // namespace tempest::tracking
