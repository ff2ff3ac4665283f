#include "tempest/tracking/block_pool.hpp"

#include <catch2/catch.hpp>
#include <cstring>
#include <vector>

namespace tempest::tracking {

TEST_CASE("what was given back is used again for what has the same size, to 32 bytes") {
  BlockPool pool;
  void* first = pool.take(100);
  pool.give_back(first, 100);
  CHECK(pool.kept_bytes() == 128);
  void* larger = pool.take(200);
  CHECK(larger != first);
  CHECK(pool.take(128) == first);
  CHECK(pool.kept_bytes() == 0);
  pool.give_back(first, 128);
  pool.give_back(larger, 200);
}

TEST_CASE("blocks hold what they were taken for, to the last byte") {
  BlockPool pool;
  for (int round = 0; round < 2; ++round) {
    std::vector<void*> blocks;
    for (std::size_t bytes = 1; bytes <= 3000; ++bytes) {
      blocks.push_back(pool.take(bytes));
      std::memset(blocks.back(), static_cast<int>(bytes), bytes);
    }
    for (std::size_t bytes = 1; bytes <= 3000; ++bytes) {
      const auto* text = static_cast<const unsigned char*>(blocks[bytes - 1]);
      REQUIRE(text[bytes - 1] == static_cast<unsigned char>(bytes));
      pool.give_back(blocks[bytes - 1], bytes);
    }
  }
}

TEST_CASE("no more is kept than the bound, and large blocks are not kept at all") {
  BlockPool pool;
  std::vector<void*> blocks(2 * BlockPool::kKeptBytes / 2048);
  for (void*& block : blocks) block = pool.take(2048);
  for (void* block : blocks) pool.give_back(block, 2048);
  CHECK(pool.kept_bytes() == BlockPool::kKeptBytes);
  pool.give_back(pool.take(1 << 20), 1 << 20);
  CHECK(pool.kept_bytes() == BlockPool::kKeptBytes);
}

}  // namespace tempest::tracking
