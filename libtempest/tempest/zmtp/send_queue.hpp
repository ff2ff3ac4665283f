#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "tempest/base/shared_bytes.hpp"

namespace tempest::zmtp {

/// What waits to be written to a connection: frames, whose bodies are shared and not copied, each
/// with its head. Nothing here bounds it; its user does, by frames().
class SendQueue {
 public:
  /// A frame: `flags` as in the protocol, less the one for a long size.
  void push_frame(std::uint8_t flags, SharedBytes body);
  /// Bytes that are no frame: the greeting.
  void push_bytes(SharedBytes bytes);

  bool is_empty() const { return first_ == items_.size(); }
  std::size_t frames() const { return items_.size() - first_; }

  /// Describes the next bytes to be written, in as many pieces as there is room for; returns how
  /// many it took. They are valid until the next call of a function that is not const.
  std::size_t gather(std::span<std::string_view> pieces) const;
  /// So many bytes of them have been written.
  void consume(std::size_t bytes);

 private:
  static constexpr std::size_t kLongestHead = 9;

  struct Item {
    std::array<char, kLongestHead> head{};
    std::uint8_t head_bytes = 0;
    SharedBytes body;

    std::size_t size() const { return head_bytes + body.size(); }
  };

  std::vector<Item> items_;
  std::size_t first_ = 0;
  std::size_t written_ = 0;  ///< Of the first.
};

}  // namespace tempest::zmtp
