#pragma once

#include <cstdint>
#include <string_view>
#include <utility>

#include "tempest/base/loosely_aligned.hpp"
#include "tempest/base/shared_bytes.hpp"

namespace tempest::tracking {

/// The key and the payload of a message at a coordinator, opaque, held once however many
/// deliveries share it. One pointer in size, at any multiple of four bytes. The count of shares is
/// not atomic: all copies of one payload stay in one thread.
///
/// What a small one costs beyond its bytes: a head of eight, and up to seven more where the pool
/// rounds up (BlockSizes).
class Payload {
 public:
  static constexpr bool kMovesAsBytes = true;  ///< See Slab.

  Payload() = default;

  /// Copies them, so that a message that takes long does not keep the whole frame it came in; what
  /// is large, and most of its frame, shares that.
  static Payload take(std::string_view key, std::string_view payload, const SharedBytes& frame);

  Payload(const Payload& other) : block_(other.block_) {
    if (Block* block = block_) ++block->shares;
  }
  Payload(Payload&& other) noexcept : block_(std::exchange(other.block_, nullptr)) {}
  Payload& operator=(Payload other) noexcept {
    std::swap(block_, other.block_);
    return *this;
  }
  ~Payload() {
    Block* block = block_;
    if (block != nullptr && --block->shares == 0) free_block(block);
  }

  explicit operator bool() const { return block_ != nullptr; }
  std::string_view key() const {
    const Block* block = block_;
    if (block == nullptr) return {};
    if (block->key_bytes == kSharesFrame) return frame_share(block)->key;
    return {inline_bytes(block), block->key_bytes};
  }
  std::string_view bytes() const {
    const Block* block = block_;
    if (block == nullptr) return {};
    if (block->key_bytes == kSharesFrame) return frame_share(block)->payload;
    return {inline_bytes(block) + block->key_bytes, block->payload_bytes};
  }
  /// Of key and payload together: what credit counts.
  std::size_t size_bytes() const {
    const Block* block = block_;
    if (block == nullptr) return 0;
    return block->key_bytes == kSharesFrame ? shared_bytes(block)
                                            : std::size_t{block->key_bytes} + block->payload_bytes;
  }

  /// What this thread's payloads take up, with what is kept for those to come.
  static std::size_t pool_bytes();

 private:
  /// In place of the size of a key: a FrameShare follows; else the key's bytes, then the payload's.
  static constexpr std::uint16_t kSharesFrame = 0xffff;
  struct Block {
    std::uint32_t shares;
    std::uint16_t key_bytes;
    std::uint16_t payload_bytes;
  };
  struct FrameShare {
    SharedBytes frame;
    std::string_view key;
    std::string_view payload;
  };

  static const char* inline_bytes(const Block* block) {
    return reinterpret_cast<const char*>(block + 1);
  }
  static const FrameShare* frame_share(const Block* block) {
    return reinterpret_cast<const FrameShare*>(block + 1);
  }
  static std::size_t shared_bytes(const Block* block);
  static void free_block(Block* block);

  LooselyAligned<Block*> block_ = nullptr;
};

}  // namespace tempest::tracking
