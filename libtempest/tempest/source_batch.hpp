#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <span>
#include <stdexcept>
#include <string_view>
#include <utility>
#include <vector>

#include "tempest/base/arena.hpp"
#include "tempest/base/block_pool.hpp"
#include "tempest/base/time.hpp"

namespace tempest {

/// How a source knows one of its messages again: 128 bits of its own choosing (a stream entry's
/// id, a place in a file, an index). Opaque to Tempest.
struct SourceToken {
  std::uint64_t high = 0;
  std::uint64_t low = 0;

  auto operator<=>(const SourceToken&) const = default;
};

/// One message as it was read. Its bytes are somebody else's: the source's, which need to be there
/// for SourceBatch::add() only, or the batch's.
struct SourceMessage {
  std::string_view payload;
  std::string_view key = {};
  SourceToken token = {};
  /// How often it was tried in vain before, as far as the source counts that across lives.
  std::uint32_t given_before = 0;
  /// What a replay of its dead letter has put on it; handed on, as it is, to the next dead letter.
  std::string_view replayed = {};
  /// Why this can be no message (too large, of a form that it must not have): it fails for good
  /// with this reason, by the failure policy, and no task sees it. The payload is then what a
  /// person is to see of it: its first bytes.
  std::string_view fault = {};
};

/// What one poll found. The bytes of its messages are copied into it once. Used again after
/// clear(), a batch allocates nothing but for large messages.
class SourceBatch {
 public:
  struct GiveBack {
    void operator()(char* memory) const { BlockPool::give_back(memory, kFromLarge); }
  };
  /// An allocation of BlockPool::take_large().
  using LargeBytes = std::unique_ptr<char, GiveBack>;

  /// Copies the message and all that its views show. Throws std::length_error for 4 GiB and more.
  void add(const SourceMessage& message) {
    const std::size_t bytes = message.payload.size() + message.key.size();
    char* const at = bytes < kFromLarge ? arena_.take(bytes) : take_large(bytes);
    if (!message.payload.empty()) {
      std::memcpy(at, message.payload.data(), message.payload.size());
    }
    if (!message.key.empty()) {
      std::memcpy(at + message.payload.size(), message.key.data(), message.key.size());
    }
    SourceMessage& added = messages_.emplace_back(message);
    added.payload = {at, message.payload.size()};
    added.key = {at + message.payload.size(), message.key.size()};
    if (!message.replayed.empty()) added.replayed = arena_.keep(message.replayed);
    if (!message.fault.empty()) added.fault = arena_.keep(message.fault);
    bytes_ += bytes;
  }
  /// Room for so many more messages.
  void reserve(std::size_t count) { messages_.reserve(messages_.size() + count); }

  /// In the order of add(). The span is good until the next add(); what its views show until
  /// clear() or the batch's end, however often that is moved.
  std::span<const SourceMessage> messages() const { return messages_; }
  /// How many messages there are.
  std::size_t size() const { return messages_.size(); }
  bool empty() const { return messages_.empty(); }
  /// Of all payloads and keys.
  std::uint64_t bytes() const { return bytes_; }

  /// The memory of one message's payload and key, in this order, if it is too large for a block of
  /// a pool: whoever takes it need not copy it. Null for a small one, whose bytes stay here.
  LargeBytes take_large_bytes(std::size_t index) {
    const SourceMessage& message = messages_[index];
    if (message.payload.size() + message.key.size() < kFromLarge) return nullptr;
    const auto found = std::lower_bound(
        large_.begin(), large_.end(), index,
        [](const Large& large, std::size_t wanted) { return large.index < wanted; });
    return std::move(found->bytes);
  }

  /// As it was when it was new, but with its memory, if that is not uncommonly much.
  void clear() {
    messages_.clear();
    if (messages_.capacity() > kKeptMessages) messages_.shrink_to_fit();
    large_.clear();
    arena_.clear();
    bytes_ = 0;
    ended = redelivered = has_more = false;
    lost = claimed = 0;
    quiet_for = Duration::zero();
  }

  /// Set by a finite source with its last batch (which may be empty): nothing will ever follow.
  bool ended = false;
  /// Set where the messages are the source's own earlier reads that were never acked, read again.
  bool redelivered = false;
  /// Set where the poll did not get to all there is, or may not give it yet: an endless source that
  /// says so is not drained, also if this batch is empty.
  bool has_more = false;
  /// Entries that the source had listed but no longer has (deleted from a stream while pending):
  /// counted as lost at the source, never as done.
  std::uint64_t lost = 0;
  /// Of the messages: taken over from another reader that had let them lie. They count as
  /// redelivered.
  std::uint64_t claimed = 0;
  /// Set by a source that knows when its next message comes, and never waits in poll(): it has
  /// nothing more for so long, and need not be polled sooner.
  Duration quiet_for{0};

 private:
  static constexpr std::size_t kFromLarge = BlockSizes::kLargest + 1;
  static constexpr std::size_t kKeptMessages = 16'384;

  struct Large {
    std::size_t index;
    LargeBytes bytes;
  };

  char* take_large(std::size_t bytes) {
    if (bytes > std::numeric_limits<std::uint32_t>::max()) {
      throw std::length_error("a source's message has 4 GiB or more");
    }
    large_.push_back(
        {messages_.size(), LargeBytes(static_cast<char*>(BlockPool::take_large(bytes)))});
    return large_.back().bytes.get();
  }

  std::vector<SourceMessage> messages_;
  Arena arena_;               ///< The bytes of small messages.
  std::vector<Large> large_;  ///< Of the others, in their order.
  std::uint64_t bytes_ = 0;
};

}  // namespace tempest
