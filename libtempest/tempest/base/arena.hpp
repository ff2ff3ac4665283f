#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

namespace tempest {

/// Bytes that stay where they are until they are let go of, the last first. Taking costs no
/// allocation once its blocks are there. For one thread at a time.
class Arena {
 public:
  /// How far it was filled at some moment.
  struct Mark {
    std::size_t block = 0;
    std::size_t used = 0;
  };

  Arena() = default;
  /// What was taken stays where it is. The other is empty then.
  Arena(Arena&& other) noexcept
      : blocks_(std::move(other.blocks_)),
        block_(std::exchange(other.block_, 0)),
        used_(std::exchange(other.used_, 0)) {}
  Arena& operator=(Arena&& other) noexcept {
    blocks_ = std::exchange(other.blocks_, {});
    block_ = std::exchange(other.block_, 0);
    used_ = std::exchange(other.used_, 0);
    return *this;
  }

  /// So many bytes, not initialised.
  char* take(std::size_t bytes) {
    if (block_ == blocks_.size() || blocks_[block_].size - used_ < bytes) next_block(bytes);
    char* const taken = blocks_[block_].bytes.get() + used_;
    used_ += bytes;
    return taken;
  }
  std::string_view keep(std::string_view text) {
    char* const at = take(text.size());
    if (!text.empty()) std::memcpy(at, text.data(), text.size());
    return {at, text.size()};
  }

  /// What has been taken, with what was left over at the ends of blocks.
  std::size_t bytes() const { return block_ == 0 ? used_ : held_before(block_) + used_; }

  Mark mark() const { return {block_, used_}; }
  /// Lets go of all that was taken since.
  void release_to(const Mark& mark) {
    block_ = mark.block;
    used_ = mark.used;
  }
  /// Lets go of everything, and gives memory back if it is uncommonly much.
  void clear() {
    release_to({});
    std::size_t kept = 0;
    while (kept < blocks_.size() && held_before(kept + 1) <= kKeptBytes) ++kept;
    blocks_.resize(kept);
  }

 private:
  static constexpr std::size_t kBlockBytes = 64ULL << 10;
  static constexpr std::size_t kKeptBytes = 1ULL << 20;

  struct Block {
    std::unique_ptr<char[]> bytes;
    std::size_t size = 0;
  };

  std::size_t held_before(std::size_t block) const {
    std::size_t bytes = 0;
    for (std::size_t i = 0; i < block; ++i) bytes += blocks_[i].size;
    return bytes;
  }
  void next_block(std::size_t bytes) {
    if (block_ < blocks_.size()) ++block_;
    used_ = 0;
    if (block_ < blocks_.size() && blocks_[block_].size >= bytes) return;
    const std::size_t size = std::max(bytes, kBlockBytes);
    // What lies behind is spare: marks point to nothing there.
    blocks_.insert(blocks_.begin() + static_cast<std::ptrdiff_t>(block_),
                   Block{std::unique_ptr<char[]>(new char[size]), size});
  }

  std::vector<Block> blocks_;
  std::size_t block_ = 0;  ///< That is being filled; blocks_.size(): none yet.
  std::size_t used_ = 0;   ///< Of it.
};

}  // namespace tempest
