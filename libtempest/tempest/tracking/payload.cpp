#include "tempest/tracking/payload.hpp"

#include <cstring>
#include <new>

#include "tempest/tracking/block_pool.hpp"

namespace tempest::tracking {

namespace {
thread_local BlockPool pool;

// From here on a copy costs more than keeping the rest of the frame alive.
constexpr std::size_t kShareFromBytes = std::size_t{16} * 1024;
}  // namespace

Payload Payload::take(std::string_view key, std::string_view payload, const SharedBytes& frame) {
  static_assert(sizeof(Block) % alignof(FrameShare) == 0);
  const std::size_t bytes = key.size() + payload.size();
  const bool shares = bytes >= kShareFromBytes;
  void* memory = pool.take(sizeof(Block) + (shares ? sizeof(FrameShare) : bytes));
  Payload result;
  result.block_ = new (memory) Block{1, static_cast<std::uint32_t>(key.size()),
                                     static_cast<std::uint32_t>(payload.size()), shares};
  if (shares) {
    new (result.frame_share()) FrameShare{frame, key, payload};
  } else {
    auto* to = reinterpret_cast<char*>(result.block_ + 1);
    if (!key.empty()) std::memcpy(to, key.data(), key.size());
    if (!payload.empty()) std::memcpy(to + key.size(), payload.data(), payload.size());
  }
  return result;
}

std::string_view Payload::key() const {
  if (block_ == nullptr) return {};
  if (block_->shares_frame) return frame_share()->key;
  return {inline_bytes(), block_->key_bytes};
}

std::string_view Payload::bytes() const {
  if (block_ == nullptr) return {};
  if (block_->shares_frame) return frame_share()->payload;
  return {inline_bytes() + block_->key_bytes, block_->payload_bytes};
}

void Payload::free_block() {
  const bool shares = block_->shares_frame;
  const std::size_t bytes = sizeof(Block) + (shares ? sizeof(FrameShare) : size_bytes());
  if (shares) frame_share()->~FrameShare();
  pool.give_back(block_, bytes);
}

}  // namespace tempest::tracking
