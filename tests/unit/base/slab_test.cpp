#include "tempest/base/slab.hpp"

#include <catch2/catch.hpp>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tempest/base/random.hpp"

using namespace tempest;

using Numbers = Slab<int, MessageId>;

TEST_CASE("A slab gives back what was put in, until it is released") {
  Numbers slab;
  const MessageId one = slab.create(1);
  const MessageId two = slab.create(2);
  REQUIRE(slab.find(one));
  CHECK(*slab.find(one) == 1);
  CHECK(slab.at(two.slot) == 2);
  CHECK(slab.size() == 2);
  slab.release(one.slot);
  CHECK(slab.find(one) == nullptr);
  CHECK(slab.find(two) != nullptr);
  CHECK(slab.size() == 1);
}

TEST_CASE("An id outlives its record without naming the next one in its place") {
  Numbers slab;
  const MessageId first = slab.create(1);
  slab.release(first.slot);
  const MessageId second = slab.create(2);
  CHECK(second.slot == first.slot);
  CHECK(second != first);
  CHECK(slab.find(first) == nullptr);
}

TEST_CASE("Ids that were never given out find nothing") {
  Numbers slab;
  CHECK(slab.find(MessageId{}) == nullptr);
  CHECK(slab.find({0, 0}) == nullptr);
  const MessageId id = slab.create(1);
  CHECK(slab.find({id.slot, id.generation + 1}) == nullptr);
  CHECK(slab.find({id.slot + 1, id.generation}) == nullptr);
}

TEST_CASE("A renewed record keeps its value and gets another id") {
  Numbers slab;
  const MessageId id = slab.create(5);
  const MessageId renewed = slab.renew(id.slot);
  CHECK(renewed.slot == id.slot);
  CHECK(slab.find(id) == nullptr);
  REQUIRE(slab.find(renewed));
  CHECK(*slab.find(renewed) == 5);
  CHECK(slab.id_of(id.slot) == renewed);
}

TEST_CASE("Places are used again in the order in which they were freed") {
  Numbers slab;
  std::vector<MessageId> ids;
  for (int i = 0; i < 4; ++i) ids.push_back(slab.create(i));
  for (const MessageId id : ids) slab.release(id.slot);
  for (const MessageId id : ids) {
    const MessageId again = slab.create(0);
    // So ids that are given out in a row stay neighbours.
    CHECK(again.packed() == MessageId{id.slot, id.generation + 1}.packed());
  }
  CHECK(slab.create(0).slot == 4);
}

TEST_CASE("A released record lets go of what it held") {
  Slab<std::shared_ptr<int>, MessageId> slab;
  const auto held = std::make_shared<int>(1);
  const MessageId id = slab.create(held);
  CHECK(held.use_count() == 2);
  slab.release(id.slot);
  CHECK(held.use_count() == 1);
}

TEST_CASE("A walk over a slab sees the live ones in the order of places, and may release them") {
  Numbers slab;
  std::vector<MessageId> ids;
  for (int i = 0; i < 6; ++i) ids.push_back(slab.create(i));
  slab.release(ids[2].slot);
  std::vector<int> seen;
  slab.for_each([&](MessageId id, int value) {
    seen.push_back(value);
    if (value % 2 == 1) slab.release(id.slot);
  });
  CHECK(seen == std::vector<int>{0, 1, 3, 4, 5});
  CHECK(slab.size() == 2);
}

TEST_CASE("A slab agrees with a map, whatever is done to it") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Random random(seed);
    Numbers slab;
    std::map<MessageId, int> live;
    std::vector<MessageId> dead;
    for (int step = 0; step < 2000; ++step) {
      if (live.empty() || random.below(100) < 52) {
        const MessageId id = slab.create(step);
        REQUIRE(live.emplace(id, step).second);
        continue;
      }
      auto chosen = live.begin();
      std::advance(chosen, random.below(live.size()));
      const auto [id, value] = *chosen;
      REQUIRE(*slab.find(id) == value);
      live.erase(chosen);
      dead.push_back(id);
      if (random.below(4) == 0) {
        live.emplace(slab.renew(id.slot), value);
      } else {
        slab.release(id.slot);
      }
    }
    REQUIRE(slab.size() == live.size());
    for (const auto& [id, value] : live) REQUIRE(*slab.find(id) == value);
    for (const MessageId id : dead) REQUIRE(slab.find(id) == nullptr);
  }
}

TEST_CASE("An id that differs in its highest bit alone names nothing") {
  Numbers slab;
  const MessageId id = slab.create(1);
  CHECK(slab.find({id.slot, id.generation | 0x80000000U}) == nullptr);
}

TEST_CASE("A slab that grows keeps what is in it, whether or not its records move as bytes") {
  Numbers numbers;
  Slab<std::string, MessageId> texts;
  const auto text = [](int i) { return std::string(static_cast<std::size_t>(i % 40), 'x'); };
  std::vector<std::pair<MessageId, MessageId>> ids;
  for (int i = 0; i < 100'000; ++i) {
    ids.emplace_back(numbers.create(i), texts.create(text(i)));
    if (i % 3 != 0) continue;
    numbers.release(ids.back().first.slot);
    texts.release(ids.back().second.slot);
  }
  CHECK(numbers.memory_bytes() < ids.size() * 8 * 9 / 8);
  for (int i = 0; i < 100'000; ++i) {
    const auto& [number, name] = ids[static_cast<std::size_t>(i)];
    REQUIRE((numbers.find(number) == nullptr) == (i % 3 == 0));
    REQUIRE((texts.find(name) == nullptr) == (i % 3 == 0));
    if (i % 3 == 0) continue;
    REQUIRE(*numbers.find(number) == i);
    REQUIRE(*texts.find(name) == text(i));
  }
}
