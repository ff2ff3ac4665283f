#pragma once

#include <array>
#include <cstddef>
#include <new>

namespace tempest::tracking {

/// Memory for payloads, kept for the next one of its size: a coordinator takes and gives back
/// millions a second, in other orders than an allocator for all purposes likes. One for each
/// thread; what was taken in a thread must be given back in it. Keeps at most kKeptBytes.
class BlockPool {
 public:
  BlockPool() = default;
  ~BlockPool() {
    for (Free*& first : free_) {
      while (first != nullptr) {
        Free* block = first;
        first = block->next;
        ::operator delete(block);
      }
    }
  }
  BlockPool(const BlockPool&) = delete;
  BlockPool& operator=(const BlockPool&) = delete;

  void* take(std::size_t bytes) {
    const std::size_t kind = kind_of(bytes);
    if (kind >= kKinds) return ::operator new(bytes);
    Free* block = free_[kind];
    if (block == nullptr) return ::operator new((kind + 1) * kStepBytes);
    free_[kind] = block->next;
    kept_bytes_ -= (kind + 1) * kStepBytes;
    return block;
  }

  /// `bytes`: as it was taken with.
  void give_back(void* memory, std::size_t bytes) {
    const std::size_t kind = kind_of(bytes);
    if (kind >= kKinds || kept_bytes_ >= kKeptBytes) return ::operator delete(memory);
    free_[kind] = new (memory) Free{free_[kind]};
    kept_bytes_ += (kind + 1) * kStepBytes;
  }

  std::size_t kept_bytes() const { return kept_bytes_; }

  static constexpr std::size_t kKeptBytes = std::size_t{32} << 20;

 private:
  /// Blocks are multiples of this, up to kKinds of them; larger ones are not kept.
  static constexpr std::size_t kStepBytes = 32;
  static constexpr std::size_t kKinds = 64;
  struct Free {
    Free* next;
  };
  static std::size_t kind_of(std::size_t bytes) { return (bytes - 1) / kStepBytes; }

  std::array<Free*, kKinds> free_{};
  std::size_t kept_bytes_ = 0;
};

}  // namespace tempest::tracking
