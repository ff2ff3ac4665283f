#include "tempest/builtin/json_text.hpp"

#include <algorithm>
#include <cstddef>

#include "tempest/base/base64.hpp"

namespace tempest::builtin {

namespace {

bool continues(std::string_view bytes, std::size_t at) {
  return at < bytes.size() && (static_cast<unsigned char>(bytes[at]) & 0xc0) == 0x80;
}

/// How many bytes the character at `at` has; 0: none that UTF-8 knows.
std::size_t character_size(std::string_view bytes, std::size_t at) {
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

void append_escaped(char byte, std::string& text) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  switch (byte) {
    case '"':
      text += "\\\"";
      break;
    case '\\':
      text += "\\\\";
      break;
    case '\n':
      text += "\\n";
      break;
    case '\r':
      text += "\\r";
      break;
    case '\t':
      text += "\\t";
      break;
    case '\b':
      text += "\\b";
      break;
    case '\f':
      text += "\\f";
      break;
    default:
      text += "\\u00";
      text += kDigits[static_cast<unsigned char>(byte) >> 4];
      text += kDigits[static_cast<unsigned char>(byte) & 15];
  }
}

bool is_plain(char byte) {
  const auto value = static_cast<unsigned char>(byte);
  return value >= 0x20 && value < 0x80 && byte != '"' && byte != '\\';
}

}  // namespace

bool is_utf8(std::string_view bytes) {
  for (std::size_t at = 0; at < bytes.size();) {
    const std::size_t size = character_size(bytes, at);
    if (size == 0) return false;
    at += size;
  }
  return true;
}

bool append_json_string(std::string_view bytes, std::string& text) {
  text += '"';
  for (std::size_t at = 0; at < bytes.size();) {
    const auto* const run_end = std::find_if_not(bytes.begin() + at, bytes.end(), is_plain);
    const auto run = static_cast<std::size_t>(run_end - bytes.begin()) - at;
    text += bytes.substr(at, run);
    at += run;
    if (at == bytes.size()) break;
    const std::size_t size = character_size(bytes, at);
    if (size == 0) return false;
    if (size == 1) {
      append_escaped(bytes[at], text);
    } else {
      text += bytes.substr(at, size);
    }
    at += size;
  }
  text += '"';
  return true;
}

JsonText json_text(std::string name, std::string_view bytes) {
  if (is_utf8(bytes)) return {std::move(name), std::string(bytes)};
  return {std::move(name) + "_base64", base64(bytes)};
}

}  // namespace tempest::builtin
