#include "tempest/base/hash.hpp"

#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <string>

#include "tempest/base/limits.hpp"

using namespace tempest;

TEST_CASE("The hash of a key is the same everywhere and always") {
  // docs/protocol.md quotes these: coordinators of different builds must agree on a key's slot.
  CHECK(hash_bytes("") == 0xf52a15e9a9b5e89b);
  CHECK(hash_bytes("a") == 0x02c0bdbf481420f8);
}

TEST_CASE("Every byte counts, and so does its place") {
  CHECK(hash_bytes("ab") != hash_bytes("ba"));
  CHECK(hash_bytes(std::string("a\0", 2)) != hash_bytes("a"));
  CHECK(hash_bytes("\xff") != hash_bytes("\x7f"));
}

TEST_CASE("Keys that differ little spread over all slots") {
  std::array<int, kKeySlots> slots{};
  for (int i = 0; i < 256 * 100; ++i) ++slots[hash_bytes("key" + std::to_string(i)) % kKeySlots];
  const auto [least, most] = std::minmax_element(slots.begin(), slots.end());
  CHECK(*least > 50);
  CHECK(*most < 150);
}
