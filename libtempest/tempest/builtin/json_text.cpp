#include "tempest/builtin/json_text.hpp"

#include <algorithm>
#include <cstddef>

#include "tempest/base/base64.hpp"
#include "tempest/base/utf8.hpp"

namespace tempest::builtin {

namespace {

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

bool append_json_string(std::string_view bytes, std::string& text) {
  text += '"';
  for (std::size_t at = 0; at < bytes.size();) {
    const auto* const run_end = std::find_if_not(bytes.begin() + at, bytes.end(), is_plain);
    const auto run = static_cast<std::size_t>(run_end - bytes.begin()) - at;
    text += bytes.substr(at, run);
    at += run;
    if (at == bytes.size()) break;
    const std::size_t size = utf8_character_size(bytes, at);
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
