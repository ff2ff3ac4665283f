#include "tempest/base/block_pool.hpp"

#include <catch2/catch.hpp>
#include <cstring>
#include <memory>
#include <vector>

#include "tempest/base/random.hpp"

namespace tempest {

TEST_CASE("a block is no larger than what it is for by more than seven bytes, up to 256") {
  for (std::size_t bytes = 1; bytes <= 256; ++bytes) {
    CHECK(BlockSizes::rounded(bytes) < bytes + 8);
  }
  CHECK(BlockSizes::rounded(108) == 112);
  for (std::size_t bytes = 257; bytes <= BlockSizes::kLargest; ++bytes) {
    CHECK(BlockSizes::rounded(bytes) * 8 < bytes * 9);
  }
}

TEST_CASE("what was given back is used again for what has the same size, to 8 bytes") {
  BlockPool pool;
  void* first = pool.take(100);
  BlockPool::give_back(first, 100);
  void* larger = pool.take(105);
  CHECK(larger != first);
  CHECK(pool.take(104) == first);
  BlockPool::give_back(first, 104);
  BlockPool::give_back(larger, 105);
}

TEST_CASE("blocks hold what they were taken for, to the last byte") {
  BlockPool pool;
  for (int round = 0; round < 2; ++round) {
    std::vector<void*> blocks;
    for (std::size_t bytes = 0; bytes <= 3000; ++bytes) {
      blocks.push_back(pool.take(bytes));
      std::memset(blocks.back(), static_cast<int>(bytes), bytes);
    }
    for (std::size_t bytes = 1; bytes <= 3000; ++bytes) {
      const auto* text = static_cast<const unsigned char*>(blocks[bytes]);
      for (std::size_t i = 0; i < bytes; ++i) {
        REQUIRE(text[i] == static_cast<unsigned char>(bytes));
      }
    }
    for (std::size_t bytes = 0; bytes <= 3000; ++bytes) BlockPool::give_back(blocks[bytes], bytes);
  }
}

TEST_CASE("blocks of one kind lie close together") {
  BlockPool pool;
  std::vector<void*> blocks(100'000);
  for (void*& block : blocks) block = pool.take(108);
  CHECK(pool.memory_bytes() < blocks.size() * 112 + 2 * BlockPool::kChunkBytes);
  for (void* block : blocks) BlockPool::give_back(block, 108);
}

TEST_CASE("no more is kept than the bound, and large blocks are not kept at all") {
  BlockPool pool;
  std::vector<void*> blocks(2 * BlockPool::kKeptBytes / 2048);
  for (void*& block : blocks) block = pool.take(2048);
  CHECK(pool.memory_bytes() > 2 * BlockPool::kKeptBytes);
  for (void* block : blocks) BlockPool::give_back(block, 2048);
  CHECK(pool.kept_bytes() == BlockPool::kKeptBytes);
  // And the one of that size that is taken from next.
  CHECK(pool.memory_bytes() == BlockPool::kKeptBytes + BlockPool::kChunkBytes);
  BlockPool::give_back(pool.take(1 << 20), 1 << 20);
  CHECK(pool.memory_bytes() == BlockPool::kKeptBytes + BlockPool::kChunkBytes);
}

TEST_CASE("memory that no block of one size needs any more serves another size") {
  BlockPool pool;
  std::vector<void*> blocks(10'000);
  for (void*& block : blocks) block = pool.take(1000);
  const std::size_t memory_bytes = pool.memory_bytes();
  for (void* block : blocks) BlockPool::give_back(block, 1000);
  for (void*& block : blocks) block = pool.take(900);
  CHECK(pool.memory_bytes() <= memory_bytes + BlockPool::kChunkBytes);
  for (void* block : blocks) BlockPool::give_back(block, 900);
}

TEST_CASE("what is given back after the pool's end is as it should be") {
  auto pool = std::make_unique<BlockPool>();
  std::vector<void*> blocks(10'000);
  for (void*& block : blocks) block = pool->take(108);
  pool.reset();
  for (void* block : blocks) {
    std::memset(block, 1, 108);
    BlockPool::give_back(block, 108);
  }
}

TEST_CASE("a pool never gives out what is taken, whatever is taken and given back") {
  struct Taken {
    unsigned char* memory;
    std::size_t bytes;
    unsigned char mark;
  };
  Random random(1);
  BlockPool pool;
  std::vector<Taken> taken;
  for (int step = 0; step < 200'000; ++step) {
    const bool grows = step % 20'000 < 12'000;
    if (taken.empty() || random.below(100) < (grows ? 80U : 20U)) {
      const std::size_t bytes = 1 + random.below(300);
      auto* memory = static_cast<unsigned char*>(pool.take(bytes));
      const auto mark = static_cast<unsigned char>(step);
      std::memset(memory, mark, bytes);
      taken.push_back({memory, bytes, mark});
      continue;
    }
    std::swap(taken[random.below(taken.size())], taken.back());
    const Taken& last = taken.back();
    REQUIRE(last.memory[0] == last.mark);
    REQUIRE(last.memory[last.bytes / 2] == last.mark);
    REQUIRE(last.memory[last.bytes - 1] == last.mark);
    BlockPool::give_back(last.memory, last.bytes);
    taken.pop_back();
  }
  for (const Taken& one : taken) BlockPool::give_back(one.memory, one.bytes);
}

}  // namespace tempest
