#pragma once

#include <cstdint>
#include <cstring>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "tempest/base/block_pool.hpp"
#include "tempest/base/ids.hpp"
#include "tempest/base/limits.hpp"
#include "tempest/base/slab.hpp"
#include "tempest/base/time.hpp"
#include "tempest/link/node.hpp"
#include "tempest/source_batch.hpp"

namespace tempest::source_node {

inline constexpr std::uint32_t kNoSlot = 0xffffffff;

/// Where a message stands on its way from the read to the confirmed ack.
///
///     queued --> sent --> to_ack --> acking --> gone
///       ^         |          ^
///       |         +--> dead -+     (its dead letter is being written)
///       +-- waiting <--+           (for its next attempt)
///
/// and, where there is a failure handler, asked between `sent` and all that follows a failure.
enum class MessageState : std::uint8_t { queued, sent, waiting, asked, dead, to_ack, acking };

/// The payload of a message, then its key: in a block of a pool, or, if that is too large for one,
/// in the memory that its batch had for it.
class HeldBytes {
 public:
  static constexpr bool kMovesAsBytes = true;  ///< See Slab.

  HeldBytes() = default;
  /// Copies them into a block, but for `large`, if that is there: it holds them, and is kept. There
  /// were none before.
  void hold(const SourceMessage& message, SourceBatch::LargeBytes large, BlockPool& pool) {
    const std::string_view payload = message.payload;
    const std::string_view key = message.key;
    payload_bytes_ = static_cast<std::uint32_t>(payload.size());
    key_bytes_ = static_cast<std::uint32_t>(key.size());
    memory_ = large.release();
    if (memory_ != nullptr) return;
    char* const block = static_cast<char*>(pool.take(payload.size() + key.size()));
    if (!payload.empty()) std::memcpy(block, payload.data(), payload.size());
    if (!key.empty()) std::memcpy(block + payload.size(), key.data(), key.size());
    memory_ = block;
  }
  HeldBytes(HeldBytes&& other) noexcept { *this = std::move(other); }
  HeldBytes& operator=(HeldBytes&& other) noexcept {
    std::swap(memory_, other.memory_);
    std::swap(payload_bytes_, other.payload_bytes_);
    std::swap(key_bytes_, other.key_bytes_);
    return *this;
  }
  ~HeldBytes() { drop(); }

  /// There are none then.
  void drop() {
    if (memory_ == nullptr) return;
    BlockPool::give_back(memory_, size());
    memory_ = nullptr;
    payload_bytes_ = key_bytes_ = 0;
  }

  std::string_view payload() const { return {memory_, payload_bytes_}; }
  std::string_view key() const { return {memory_ + payload_bytes_, key_bytes_}; }
  std::size_t size() const { return std::size_t{payload_bytes_} + key_bytes_; }

 private:
  char* memory_ = nullptr;
  std::uint32_t payload_bytes_ = 0;
  std::uint32_t key_bytes_ = 0;
};

/// So that HeldMessage::attempts holds the most that there may be.
inline constexpr int kAttemptBits = 22;
static_assert(kMaxAttempts < (1U << kAttemptBits));

struct HeldMessage {
  static constexpr bool kMovesAsBytes = true;  ///< See Slab.

  /// Given up when the message is done: for the ack its token is enough.
  HeldBytes bytes;
  SourceToken token;
  TimePoint read_at{};
  link::ChannelId coordinator{};  ///< While sent: to whom.
  std::uint32_t previous = kNoSlot;
  std::uint32_t next = kNoSlot;
  /// Trees that failed for a cause which another tree may not have.
  std::uint32_t attempts : kAttemptBits = 0;
  MessageState state : 4 = MessageState::queued;
  bool sent_before : 1 = false;  ///< Sending it again is a resend.
  bool traced : 1 = false;       ///< See MessageTraces.

  std::string_view payload() const { return bytes.payload(); }
  std::string_view key() const { return bytes.key(); }
};
// There may be millions of them.
static_assert(sizeof(HeldMessage) == 56);

/// Messages in an order, linked through their records: moving some costs no allocation. A message
/// is in one list at a time; a value may also name a part of one, messages in a row.
struct MessageList {
  std::uint32_t head = kNoSlot;
  std::uint32_t tail = kNoSlot;
  std::uint64_t count = 0;
  std::uint64_t bytes = 0;

  bool empty() const { return count == 0; }
  /// A part grows by the next message of its list.
  void extend(std::uint32_t slot, const HeldMessage& message) {
    if (empty()) head = slot;
    tail = slot;
    ++count;
    bytes += message.bytes.size();
  }
};

/// Every message of this node from its read until its ack is confirmed.
class MessageStore {
 public:
  /// A new message, in no list yet; its place. `large`: SourceBatch::take_large_bytes() of it.
  std::uint32_t add(const SourceMessage& message, SourceBatch::LargeBytes large, TimePoint now) {
    const std::uint32_t slot = messages_.create().slot;
    HeldMessage& held = messages_.at(slot);
    held.bytes.hold(message, std::move(large), pool_);
    held.token = message.token;
    held.read_at = now;
    bytes_ += held.bytes.size();
    if (!message.replayed.empty()) replayed_[slot] = message.replayed;
    return slot;
  }

  /// SourceMessage::replayed; few messages have one.
  std::string replayed(std::uint32_t slot) const;

  HeldMessage* find(MessageId id) { return messages_.find(id); }
  HeldMessage& at(std::uint32_t slot) { return messages_.at(slot); }
  MessageId id_of(std::uint32_t slot) const { return messages_.id_of(slot); }

  void push_back(MessageList& list, std::uint32_t slot) {
    HeldMessage& message = messages_.at(slot);
    message.previous = list.tail;
    message.next = kNoSlot;
    if (list.tail != kNoSlot) messages_.at(list.tail).next = slot;
    list.extend(slot, message);
  }
  void push_front(MessageList& list, std::uint32_t slot) {
    MessageList front;
    push_back(front, slot);
    prepend(list, front);
  }
  void remove(MessageList& list, std::uint32_t slot) {
    MessageList alone;
    alone.extend(slot, messages_.at(slot));
    cut(list, alone);
  }

  /// Takes a part, of one or more, out of its list.
  void cut(MessageList& list, const MessageList& part) {
    const std::uint32_t before = messages_.at(part.head).previous;
    const std::uint32_t after = messages_.at(part.tail).next;
    (part.head == list.head ? list.head : messages_.at(before).next) = after;
    (part.tail == list.tail ? list.tail : messages_.at(after).previous) = before;
    list.count -= part.count;
    list.bytes -= part.bytes;
  }
  /// Puts all of `from`, which are in no list, behind the last of `list`.
  void append(MessageList& list, const MessageList& from) {
    if (from.empty()) return;
    messages_.at(from.head).previous = list.tail;
    messages_.at(from.tail).next = kNoSlot;
    (list.tail == kNoSlot ? list.head : messages_.at(list.tail).next) = from.head;
    list.tail = from.tail;
    list.count += from.count;
    list.bytes += from.bytes;
  }
  /// Puts all of `from`, in its order, before the first of `list`. `from` is empty then.
  void prepend(MessageList& list, MessageList& from) {
    append(from, list);
    list = std::exchange(from, {});
  }

  /// Gives a message that is to be sent again a new id, so that whatever is still said of the old
  /// one counts for nothing.
  void renew(std::uint32_t slot) { messages_.renew(slot); }
  /// Of a message that no list counts.
  void drop_bytes(HeldMessage& message) {
    bytes_ -= message.bytes.size();
    message.bytes.drop();
  }
  void release(std::uint32_t slot) {
    bytes_ -= messages_.at(slot).bytes.size();
    messages_.release(slot);
    if (!replayed_.empty()) replayed_.erase(slot);
  }

  std::uint64_t count() const { return messages_.size(); }
  bool empty() const { return messages_.empty(); }
  /// Payloads and keys held.
  std::uint64_t bytes() const { return bytes_; }

  template <typename Visit>
  void for_each(Visit visit) const {
    // The slab's own walk is for writers; this one only looks.
    const_cast<MessageStore*>(this)->messages_.for_each(
        [&visit](MessageId, const HeldMessage& message) { visit(message); });
  }

 private:
  BlockPool pool_;
  Slab<HeldMessage, MessageId> messages_;
  std::map<std::uint32_t, std::string> replayed_;  ///< By place.
  std::uint64_t bytes_ = 0;
};

}  // namespace tempest::source_node
