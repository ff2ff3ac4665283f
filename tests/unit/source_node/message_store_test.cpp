#include "source_node/message_store.hpp"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "tempest/base/random.hpp"

using namespace tempest;
using namespace tempest::source_node;

namespace {

std::uint32_t add(MessageStore& store, const std::string& payload, const std::string& key = {}) {
  return store.add({.payload = payload, .key = key}, nullptr, {});
}

/// Forwards; fails if backwards it is another.
std::vector<std::uint32_t> slots(MessageStore& store, const MessageList& list) {
  std::vector<std::uint32_t> found;
  std::uint32_t previous = kNoSlot;
  for (std::uint32_t slot = list.head; slot != kNoSlot; slot = store.at(slot).next) {
    REQUIRE(store.at(slot).previous == previous);
    found.push_back(slot);
    previous = slot;
  }
  REQUIRE(list.tail == previous);
  REQUIRE(list.count == found.size());
  return found;
}

using Slots = std::vector<std::uint32_t>;

}  // namespace

TEST_CASE("a message is held whole, in a block or in the memory that its batch had for it") {
  MessageStore store;
  SourceBatch batch;
  for (const std::size_t bytes : {0, 1, 100, 2'040, 2'048, 2'049, 1 << 20}) {
    batch.add({.payload = std::string(bytes, 'p'), .key = "key", .replayed = "once"});
  }
  std::uint64_t bytes = 0;
  for (std::size_t i = 0; i < batch.size(); ++i) {
    const SourceMessage& message = batch.messages()[i];
    const std::uint32_t slot = store.add(message, batch.take_large_bytes(i), {});
    bytes += message.payload.size() + 3;
    CHECK(store.at(slot).payload() == message.payload);
    CHECK(store.at(slot).key() == "key");
    CHECK(store.replayed(slot) == "once");
    const bool is_taken_over = store.at(slot).payload().data() == message.payload.data();
    CHECK(is_taken_over == (message.payload.size() + 3 > BlockSizes::kLargest));
  }
  CHECK(store.bytes() == bytes);
  batch.clear();
  // Grows meanwhile, so records move.
  for (int i = 0; i < 1'000; ++i) add(store, "more");
  CHECK(store.at(6).payload() == std::string(1 << 20, 'p'));
  store.drop_bytes(store.at(6));
  store.drop_bytes(store.at(2));
  CHECK(store.at(6).payload().empty());
  CHECK(store.at(2).key().empty());
  CHECK(store.bytes() == bytes - (1 << 20) - 3 - 103 + 4'000);
}

TEST_CASE("a part of a list moves at once") {
  MessageStore store;
  MessageList list;
  for (int i = 0; i < 6; ++i) store.push_back(list, add(store, std::string(i, 'x')));
  const auto part_of = [&store](const Slots& members) {
    MessageList part;
    for (const std::uint32_t slot : members) part.extend(slot, store.at(slot));
    return part;
  };
  MessageList other;
  const auto move = [&](const Slots& members) {
    const MessageList part = part_of(members);
    store.cut(list, part);
    store.append(other, part);
  };
  move({2, 3});
  CHECK(slots(store, list) == Slots{0, 1, 4, 5});
  CHECK(slots(store, other) == Slots{2, 3});
  CHECK(list.bytes == 10);
  CHECK(other.bytes == 5);
  move({0});
  move({5});
  CHECK(slots(store, list) == Slots{1, 4});
  move({1, 4});
  CHECK(slots(store, list).empty());
  CHECK(slots(store, other) == Slots{2, 3, 0, 5, 1, 4});
  store.push_front(list, add(store, "first"));
  store.prepend(other, list);
  CHECK(slots(store, list).empty());
  CHECK(slots(store, other) == Slots{6, 2, 3, 0, 5, 1, 4});
  store.remove(other, 0);
  CHECK(slots(store, other) == Slots{6, 2, 3, 5, 1, 4});
  CHECK(other.bytes == 20);
}
