#include "tempest/zmtp/send_queue.hpp"

#include <algorithm>
#include <utility>

#include "tempest/zmtp/format.hpp"

namespace tempest::zmtp {

void SendQueue::push_frame(std::uint8_t flags, SharedBytes body) {
  Item item;
  const std::size_t bytes = body.size();
  if (bytes <= 255) {
    item.head[0] = static_cast<char>(flags);
    item.head[1] = static_cast<char>(bytes);
    item.head_bytes = 2;
  } else {
    item.head[0] = static_cast<char>(flags | kLongFlag);
    for (std::size_t i = 0; i < 8; ++i) {
      item.head[1 + i] = static_cast<char>(static_cast<std::uint64_t>(bytes) >> (8 * (7 - i)));
    }
    item.head_bytes = kLongestHead;
  }
  item.body = std::move(body);
  items_.push_back(std::move(item));
}

void SendQueue::push_bytes(SharedBytes bytes) {
  Item item;
  item.body = std::move(bytes);
  items_.push_back(std::move(item));
}

std::size_t SendQueue::gather(std::span<std::string_view> pieces) const {
  std::size_t count = 0;
  std::size_t skip = written_;
  const auto add = [&](std::string_view bytes) {
    const std::size_t skipped = std::min(skip, bytes.size());
    skip -= skipped;
    if (skipped < bytes.size()) pieces[count++] = bytes.substr(skipped);
  };
  // An item makes two pieces at most.
  for (std::size_t at = first_; at < items_.size() && count + 2 <= pieces.size(); ++at) {
    add({items_[at].head.data(), items_[at].head_bytes});
    add(items_[at].body.view());
  }
  return count;
}

void SendQueue::consume(std::size_t bytes) {
  written_ += bytes;
  while (first_ < items_.size() && written_ >= items_[first_].size()) {
    written_ -= items_[first_].size();
    items_[first_].body = {};
    ++first_;
  }
  // What is behind is let go at the latest when it is half of all: each item moves once.
  if (first_ == items_.size()) {
    items_.clear();
    first_ = 0;
  } else if (first_ * 2 > items_.size()) {
    items_.erase(items_.begin(), items_.begin() + static_cast<std::ptrdiff_t>(first_));
    first_ = 0;
  }
}

}  // namespace tempest::zmtp
