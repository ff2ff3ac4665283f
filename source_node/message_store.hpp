#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "tempest/base/ids.hpp"
#include "tempest/base/slab.hpp"
#include "tempest/base/time.hpp"
#include "tempest/link/node.hpp"
#include "tempest/source.hpp"

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

struct HeldMessage {
  /// The payload, then the key. Given up when the message is done: for the ack its token is enough.
  std::string bytes;
  SourceToken token;
  TimePoint read_at{};
  link::ChannelId coordinator{};  ///< While sent: to whom.
  std::uint32_t previous = kNoSlot;
  std::uint32_t next = kNoSlot;
  std::uint32_t key_bytes = 0;
  std::uint16_t attempts = 0;  ///< Trees that failed for a cause which another tree may not have.
  MessageState state = MessageState::queued;
  bool sent_before = false;  ///< Sending it again is a resend.
  bool traced = false;       ///< See MessageTraces.

  std::string_view payload() const {
    return std::string_view(bytes).substr(0, bytes.size() - key_bytes);
  }
  std::string_view key() const { return std::string_view(bytes).substr(bytes.size() - key_bytes); }
};

/// Messages in an order, linked through their records: moving one costs no allocation. A message is
/// in one list at a time.
struct MessageList {
  std::uint32_t head = kNoSlot;
  std::uint32_t tail = kNoSlot;
  std::uint64_t count = 0;
  std::uint64_t bytes = 0;

  bool empty() const { return count == 0; }
};

/// Every message of this node from its read until its ack is confirmed.
class MessageStore {
 public:
  /// A new message, in no list yet; its place.
  std::uint32_t add(SourceMessage&& message, TimePoint now);

  /// SourceMessage::replayed; few messages have one.
  std::string replayed(std::uint32_t slot) const;

  HeldMessage* find(MessageId id) { return messages_.find(id); }
  HeldMessage& at(std::uint32_t slot) { return messages_.at(slot); }
  MessageId id_of(std::uint32_t slot) const { return messages_.id_of(slot); }

  void push_back(MessageList& list, std::uint32_t slot);
  void push_front(MessageList& list, std::uint32_t slot);
  void remove(MessageList& list, std::uint32_t slot);
  /// Takes the first `count` out of the list, as a list of their own.
  MessageList take_front(MessageList& list, std::uint64_t count);
  /// Puts all of `from`, in its order, before the first of `list`. `from` is empty then.
  void prepend(MessageList& list, MessageList& from);

  /// Gives a message that is to be sent again a new id, so that whatever is still said of the old
  /// one counts for nothing.
  void renew(std::uint32_t slot) { messages_.renew(slot); }
  /// Of a message in no list.
  void drop_bytes(std::uint32_t slot);
  void release(std::uint32_t slot);
  /// The same for all of a list, which is empty then.
  void release_all(MessageList& list);

  std::uint64_t count() const { return messages_.size(); }
  bool empty() const { return messages_.empty(); }
  /// Payloads and keys held.
  std::uint64_t bytes() const { return bytes_; }
  std::size_t memory_bytes() const { return messages_.memory_bytes() + bytes_; }

  template <typename Visit>
  void for_each(Visit visit) const {
    // The slab's own walk is for writers; this one only looks.
    const_cast<MessageStore*>(this)->messages_.for_each(
        [&visit](MessageId, const HeldMessage& message) { visit(message); });
  }

 private:
  Slab<HeldMessage, MessageId> messages_;
  std::map<std::uint32_t, std::string> replayed_;  ///< By place.
  std::uint64_t bytes_ = 0;
};

}  // namespace tempest::source_node
