#pragma once

#include <array>
#include <string>
#include <string_view>

#include "tempest/zmtp/send_queue.hpp"

namespace tempest::test {

/// Everything that waits to be sent, taken as a socket that takes all would.
inline std::string sent_bytes(zmtp::SendQueue& queue) {
  std::string bytes;
  std::array<std::string_view, 8> pieces;
  while (!queue.is_empty()) {
    const std::size_t before = bytes.size();
    const std::size_t count = queue.gather(pieces);
    for (std::size_t i = 0; i < count; ++i) bytes.append(pieces[i]);
    queue.consume(bytes.size() - before);
  }
  return bytes;
}

}  // namespace tempest::test
