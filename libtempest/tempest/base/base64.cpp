#include "tempest/base/base64.hpp"

#include <algorithm>
#include <cstdint>

namespace tempest {
namespace {

constexpr std::string_view kDigits =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

}  // namespace

std::string base64(std::string_view bytes) {
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t left = std::min<std::size_t>(3, bytes.size() - i);
    std::uint32_t group = 0;
    for (std::size_t j = 0; j < 3; ++j) {
      group = group << 8 | (j < left ? static_cast<unsigned char>(bytes[i + j]) : 0);
    }
    for (std::size_t j = 0; j < 4; ++j) {
      text += j <= left ? kDigits[group >> (18 - 6 * j) & 63] : '=';
    }
  }
  return text;
}

std::optional<std::string> from_base64(std::string_view text) {
  std::string bytes;
  bytes.reserve(text.size() / 4 * 3);
  const std::size_t digits = std::min(text.find('='), text.size());
  std::uint32_t group = 0;
  for (std::size_t i = 0; i < digits; ++i) {
    const std::size_t value = kDigits.find(text[i]);
    if (value == std::string_view::npos) return std::nullopt;
    group = group << 6 | static_cast<std::uint32_t>(value);
    // Each digit after the first of its four completes a byte.
    if (i % 4 != 0) bytes += static_cast<char>(group >> (2 * (3 - i % 4)) & 0xff);
  }
  // Padding and the bits beside the bytes can be written in one way only.
  if (base64(bytes) != text) return std::nullopt;
  return bytes;
}

}  // namespace tempest
