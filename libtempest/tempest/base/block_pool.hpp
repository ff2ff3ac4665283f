#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace tempest {

/// The sizes of blocks: rounded up to 8 bytes up to 256, to 16 up to 512, 32 up to 1,024, and 64 up
/// to kLargest. Each is a kind of its own, by number.
struct BlockSizes {
  static constexpr std::size_t kLargest = 2'048;
  static constexpr std::size_t kKinds = 32 + 16 + 16 + 16;

  static constexpr std::size_t rounded(std::size_t bytes) {
    const std::size_t step = bytes <= 256 ? 8 : bytes <= 512 ? 16 : bytes <= 1'024 ? 32 : 64;
    return bytes == 0 ? step : (bytes + step - 1) / step * step;
  }

  /// By size in units of 8 bytes.
  using Kinds = std::array<std::uint8_t, kLargest / 8 + 1>;
  static constexpr Kinds kinds() {
    Kinds kinds{};
    for (std::size_t i = 2; i < kinds.size(); ++i) {
      const bool is_next = rounded(8 * i) != rounded(8 * (i - 1));
      kinds[i] = static_cast<std::uint8_t>(kinds[i - 1] + (is_next ? 1 : 0));
    }
    return kinds;
  }
};
inline constexpr BlockSizes::Kinds kBlockKinds = BlockSizes::kinds();
static_assert(kBlockKinds.back() == BlockSizes::kKinds - 1);

/// Memory for payloads: a source or a coordinator takes and gives back millions a second, in other
/// orders than an allocator for all purposes likes, and holds millions. For one thread at a time:
/// what was taken from a pool is given back in the thread that uses it, or after the pool's end.
///
/// Blocks of a kind share **chunks**, and have nothing before or behind them: the chunk is found
/// from a block's address, and knows what is free in it. A chunk in which nothing is taken any more
/// may serve another kind; beyond kKeptBytes of such it goes back to where it came from. What is
/// larger than BlockSizes::kLargest is an allocation of its own, in no pool and of no thread.
class BlockPool {
 public:
  static constexpr std::size_t kChunkBytes = std::size_t{256} << 10;
  static constexpr std::size_t kKeptBytes = std::size_t{32} << 20;

  BlockPool() = default;
  ~BlockPool();
  BlockPool(const BlockPool&) = delete;
  BlockPool& operator=(const BlockPool&) = delete;

  void* take(std::size_t bytes) {
    if (bytes > BlockSizes::kLargest) return take_large(bytes);
    const std::size_t kind = kBlockKinds[(bytes + 7) / 8];
    Chunk* chunk = with_room_[kind].first;
    if (chunk == nullptr) chunk = add_chunk(kind, bytes);
    Free* block = chunk->free;
    if (block != nullptr) {
      chunk->free = block->next;
    } else {
      block = reinterpret_cast<Free*>(reinterpret_cast<char*>(chunk) + chunk->untouched);
      chunk->untouched += chunk->block_bytes;
    }
    ++chunk->taken;
    if (!has_room(*chunk)) became_full(chunk);
    return block;
  }

  /// What take() does for more than BlockSizes::kLargest.
  static void* take_large(std::size_t bytes);

  /// `bytes`: as it was taken with.
  static void give_back(void* memory, std::size_t bytes) {
    if (bytes > BlockSizes::kLargest) return give_back_large(memory);
    const std::size_t offset = reinterpret_cast<std::uintptr_t>(memory) % kChunkBytes;
    auto* chunk = reinterpret_cast<Chunk*>(static_cast<char*>(memory) - offset);
    const bool was_full = !has_room(*chunk);
    auto* block = static_cast<Free*>(memory);
    block->next = chunk->free;
    chunk->free = block;
    --chunk->taken;
    if (was_full || chunk->taken == 0) gained_room(chunk, was_full);
  }

  /// Of all chunks.
  std::size_t memory_bytes() const { return chunk_count_ * kChunkBytes; }
  /// Of those in which nothing is taken.
  std::size_t kept_bytes() const { return empty_count_ * kChunkBytes; }

 private:
  struct Free {
    Free* next;
  };
  /// Stands at the head of its memory, which begins at a multiple of its size. In one list at any
  /// time: of those of its kind with room, of the full, or of the empty ones.
  struct Chunk {
    BlockPool* pool = nullptr;    ///< Null once that is gone.
    Free* free = nullptr;         ///< What has been given back.
    std::uint32_t untouched = 0;  ///< Where what was never taken begins.
    std::uint32_t taken = 0;
    std::uint32_t block_bytes = 0;
    std::uint32_t kind = 0;
    Chunk* previous = nullptr;
    Chunk* next = nullptr;
  };
  struct ChunkList {
    Chunk* first = nullptr;
    Chunk* last = nullptr;

    void add(Chunk* chunk);
    void remove(Chunk* chunk);
  };

  static bool has_room(const Chunk& chunk) {
    return chunk.free != nullptr || chunk.untouched + chunk.block_bytes <= kChunkBytes;
  }
  static void give_back_large(void* memory);
  static void gained_room(Chunk* chunk, bool was_full);
  static void release_chunk(Chunk* chunk);
  static void leave(ChunkList& list);

  Chunk* add_chunk(std::size_t kind, std::size_t bytes);
  void became_full(Chunk* chunk);

  std::array<ChunkList, BlockSizes::kKinds> with_room_{};
  ChunkList full_;
  ChunkList empty_;
  std::size_t empty_count_ = 0;
  std::size_t chunk_count_ = 0;
};

}  // namespace tempest
