#pragma once

#include <cstddef>
#include <cstdint>

/// Of msgpack's formats, those that the codec writes and reads in place: values that are one byte,
/// or begin with it. For the codec only.
namespace tempest::wire::one_byte {

inline constexpr std::uint8_t kNil = 0xc0;
/// Opaque bytes, up to 255: their number follows.
inline constexpr std::uint8_t kShortBytes = 0xc4;
/// size < 16.
constexpr std::uint8_t array(std::size_t size) {
  return static_cast<std::uint8_t>(0x90 | size);
}
/// True of a number that is its own byte.
constexpr bool holds(std::uint64_t value) {
  return value < 128;
}

}  // namespace tempest::wire::one_byte
