#include "source_node/message_store.hpp"

#include <utility>

namespace tempest::source_node {

std::uint32_t MessageStore::add(SourceMessage&& message, TimePoint now) {
  HeldMessage held;
  held.bytes = std::move(message.payload);
  held.bytes += message.key;
  held.key_bytes = static_cast<std::uint32_t>(message.key.size());
  held.token = message.token;
  held.read_at = now;
  bytes_ += held.bytes.size();
  const std::uint32_t slot = messages_.create(std::move(held)).slot;
  if (!message.replayed.empty()) replayed_[slot] = std::move(message.replayed);
  return slot;
}

std::string MessageStore::replayed(std::uint32_t slot) const {
  const auto found = replayed_.find(slot);
  return found == replayed_.end() ? std::string() : found->second;
}

void MessageStore::push_back(MessageList& list, std::uint32_t slot) {
  HeldMessage& message = messages_.at(slot);
  message.previous = list.tail;
  message.next = kNoSlot;
  (list.tail == kNoSlot ? list.head : messages_.at(list.tail).next) = slot;
  list.tail = slot;
  ++list.count;
  list.bytes += message.bytes.size();
}

void MessageStore::push_front(MessageList& list, std::uint32_t slot) {
  HeldMessage& message = messages_.at(slot);
  message.previous = kNoSlot;
  message.next = list.head;
  (list.head == kNoSlot ? list.tail : messages_.at(list.head).previous) = slot;
  list.head = slot;
  ++list.count;
  list.bytes += message.bytes.size();
}

void MessageStore::remove(MessageList& list, std::uint32_t slot) {
  const HeldMessage& message = messages_.at(slot);
  (message.previous == kNoSlot ? list.head : messages_.at(message.previous).next) = message.next;
  (message.next == kNoSlot ? list.tail : messages_.at(message.next).previous) = message.previous;
  --list.count;
  list.bytes -= message.bytes.size();
}

MessageList MessageStore::take_front(MessageList& list, std::uint64_t count) {
  if (count >= list.count) return std::exchange(list, {});
  MessageList front;
  while (front.count < count) {
    const std::uint32_t slot = list.head;
    remove(list, slot);
    push_back(front, slot);
  }
  return front;
}

void MessageStore::release_all(MessageList& list) {
  for (std::uint32_t slot = list.head; slot != kNoSlot;) {
    const std::uint32_t next = messages_.at(slot).next;
    release(slot);
    slot = next;
  }
  list = {};
}

void MessageStore::prepend(MessageList& list, MessageList& from) {
  if (from.empty()) return;
  messages_.at(from.tail).next = list.head;
  (list.head == kNoSlot ? list.tail : messages_.at(list.head).previous) = from.tail;
  list.head = from.head;
  list.count += from.count;
  list.bytes += from.bytes;
  from = {};
}

void MessageStore::drop_bytes(std::uint32_t slot) {
  HeldMessage& message = messages_.at(slot);
  bytes_ -= message.bytes.size();
  // Assigning an empty string would keep the memory.
  std::string().swap(message.bytes);
  message.key_bytes = 0;
}

void MessageStore::release(std::uint32_t slot) {
  bytes_ -= messages_.at(slot).bytes.size();
  messages_.release(slot);
  if (!replayed_.empty()) replayed_.erase(slot);
}

}  // namespace tempest::source_node
