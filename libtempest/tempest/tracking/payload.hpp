#pragma once

#include <cstdint>
#include <string_view>
#include <utility>

#include "tempest/base/shared_bytes.hpp"

namespace tempest::tracking {

/// The key and the payload of a message at a coordinator, opaque, held once however many
/// deliveries share it. One pointer in size. The count of shares is not atomic: all copies of one
/// payload stay in one thread.
class Payload {
 public:
  Payload() = default;

  /// Small ones are copied, so that a message that takes long does not keep the whole frame it
  /// came in; large ones share the frame.
  static Payload take(std::string_view key, std::string_view payload, const SharedBytes& frame);

  Payload(const Payload& other) : block_(other.block_) {
    if (block_ != nullptr) ++block_->shares;
  }
  Payload(Payload&& other) noexcept : block_(std::exchange(other.block_, nullptr)) {}
  Payload& operator=(Payload other) noexcept {
    std::swap(block_, other.block_);
    return *this;
  }
  ~Payload() { release(); }

  explicit operator bool() const { return block_ != nullptr; }
  std::string_view key() const;
  std::string_view bytes() const;
  /// Of key and payload together: what credit counts.
  std::size_t size_bytes() const {
    return block_ == nullptr ? 0 : std::size_t{block_->key_bytes} + block_->payload_bytes;
  }

 private:
  struct Block {
    std::uint32_t shares;
    std::uint32_t key_bytes;
    std::uint32_t payload_bytes;
    bool shares_frame;  ///< A FrameShare follows; else the key's bytes, then the payload's.
  };
  struct FrameShare {
    SharedBytes frame;
    std::string_view key;
    std::string_view payload;
  };

  const char* inline_bytes() const { return reinterpret_cast<const char*>(block_ + 1); }
  FrameShare* frame_share() const { return reinterpret_cast<FrameShare*>(block_ + 1); }
  void release() {
    if (block_ != nullptr && --block_->shares == 0) free_block();
  }
  void free_block();

  Block* block_ = nullptr;
};

}  // namespace tempest::tracking
