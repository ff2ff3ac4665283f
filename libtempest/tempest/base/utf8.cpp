#include "tempest/base/utf8.hpp"

#include <algorithm>

#include "tempest/base/limits.hpp"

namespace tempest {

namespace {

bool continues(std::string_view bytes, std::size_t at) {
  return at < bytes.size() && (static_cast<unsigned char>(bytes[at]) & 0xc0) == 0x80;
}

bool is_control(char byte) {
  const auto value = static_cast<unsigned char>(byte);
  return value < 0x20 || value == 0x7f;
}

}  // namespace

std::size_t utf8_character_size(std::string_view bytes, std::size_t at) {
  const auto byte = [&](std::size_t offset) {
    return static_cast<unsigned char>(bytes[at + offset]);
  };
  const unsigned char first = byte(0);
  if (first < 0x80) return 1;
  if (first < 0xc2 || !continues(bytes, at + 1)) return 0;
  if (first < 0xe0) return 2;
  if (!continues(bytes, at + 2)) return 0;
  if (first < 0xf0) {
    const bool overlong = first == 0xe0 && byte(1) < 0xa0;
    const bool surrogate = first == 0xed && byte(1) >= 0xa0;
    return overlong || surrogate ? 0 : 3;
  }
  if (first > 0xf4 || !continues(bytes, at + 3)) return 0;
  const bool overlong = first == 0xf0 && byte(1) < 0x90;
  const bool too_large = first == 0xf4 && byte(1) >= 0x90;
  return overlong || too_large ? 0 : 4;
}

bool is_utf8(std::string_view bytes) {
  for (std::size_t at = 0; at < bytes.size();) {
    const std::size_t size = utf8_character_size(bytes, at);
    if (size == 0) return false;
    at += size;
  }
  return true;
}

bool is_name(std::string_view bytes) {
  return bytes.size() <= kMaxNameBytes && is_utf8(bytes) &&
         std::none_of(bytes.begin(), bytes.end(), is_control);
}

}  // namespace tempest
