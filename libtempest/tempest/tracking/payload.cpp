#include "tempest/tracking/payload.hpp"

#include <cstring>
#include <memory>
#include <new>

#include "tempest/base/block_pool.hpp"

namespace tempest::tracking {

namespace {
thread_local BlockPool pool;

// From here on what is copied gets memory of its own, and what is most of its frame shares that.
constexpr std::size_t kLargeBytes = std::size_t{16} * 1024;

/// Whether to keep the frame alive for so many bytes of it holds little more than a copy would.
bool is_most_of(std::size_t bytes, const SharedBytes& frame) {
  return bytes >= frame.size() / 4 * 3;
}

/// Returns the same two in a place that holds nothing else.
SharedBytes copy_of(std::string_view key, std::string_view payload) {
  std::string bytes;
  bytes.reserve(key.size() + payload.size());
  return SharedBytes(bytes.append(key).append(payload));
}
}  // namespace

Payload Payload::take(std::string_view key, std::string_view payload, const SharedBytes& frame) {
  static_assert(sizeof(Block) == 8 && sizeof(Block) % alignof(FrameShare) == 0);
  static_assert(kLargeBytes <= kSharesFrame, "sizes of what a block holds fit its head");
  const std::size_t bytes = key.size() + payload.size();
  const bool shares = bytes >= kLargeBytes;
  void* memory = pool.take(sizeof(Block) + (shares ? sizeof(FrameShare) : bytes));
  auto* block = new (memory) Block{1, kSharesFrame, 0};
  if (shares) {
    if (is_most_of(bytes, frame)) {
      new (block + 1) FrameShare{frame, key, payload};
    } else {
      SharedBytes own = copy_of(key, payload);
      const std::string_view view = own.view();
      new (block + 1)
          FrameShare{std::move(own), view.substr(0, key.size()), view.substr(key.size())};
    }
  } else {
    block->key_bytes = static_cast<std::uint16_t>(key.size());
    block->payload_bytes = static_cast<std::uint16_t>(payload.size());
    auto* to = reinterpret_cast<char*>(block + 1);
    if (!key.empty()) std::memcpy(to, key.data(), key.size());
    if (!payload.empty()) std::memcpy(to + key.size(), payload.data(), payload.size());
  }
  Payload result;
  result.block_ = block;
  return result;
}

std::size_t Payload::shared_bytes(const Block* block) {
  return frame_share(block)->key.size() + frame_share(block)->payload.size();
}

void Payload::free_block(Block* block) {
  const bool shares = block->key_bytes == kSharesFrame;
  const std::size_t bytes =
      shares ? sizeof(FrameShare) : std::size_t{block->key_bytes} + block->payload_bytes;
  if (shares) std::destroy_at(const_cast<FrameShare*>(frame_share(block)));
  BlockPool::give_back(block, sizeof(Block) + bytes);
}

std::size_t Payload::pool_bytes() {
  return pool.memory_bytes();
}

}  // namespace tempest::tracking
