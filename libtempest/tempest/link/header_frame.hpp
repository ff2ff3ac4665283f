#pragma once

#include <string>
#include <utility>

#include "tempest/base/shared_bytes.hpp"
#include "tempest/wire/codec.hpp"

namespace tempest::link {

/// A frame of a link header alone: a HELLO, WELCOME, HEARTBEAT, RESET or BYE.
template <typename Header>
SharedBytes header_frame(const Header& header) {
  std::string frame;
  wire::encode(header, frame);
  return SharedBytes(std::move(frame));
}

}  // namespace tempest::link
