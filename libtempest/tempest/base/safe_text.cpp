#include "tempest/base/safe_text.hpp"

#include <cstdint>
#include <cstdio>

#include "tempest/base/utf8.hpp"

namespace tempest {

namespace {

/// The longest character that is escaped, as bytes and as text.
constexpr std::size_t kMostCharacterBytes = 4;

std::uint32_t code_point(std::string_view character) {
  if (character.size() == 1) return static_cast<unsigned char>(character[0]);
  std::uint32_t code = static_cast<unsigned char>(character[0]) & (0x7fU >> character.size());
  for (const char c : character.substr(1)) {
    code = code << 6 | (static_cast<unsigned char>(c) & 0x3fU);
  }
  return code;
}

bool turns_direction(std::uint32_t code) {
  return code == 0x061c || code == 0x200e || code == 0x200f || (code >= 0x202a && code <= 0x202e) ||
         (code >= 0x2066 && code <= 0x2069);
}

bool is_unsafe(std::uint32_t code) {
  const bool is_control = code < 0x20 || (code >= 0x7f && code < 0xa0);
  const bool separates_lines = code == 0x2028 || code == 0x2029;
  const bool is_no_character = (code & 0xfffe) == 0xfffe || code == 0xfeff;
  return is_control || separates_lines || is_no_character || turns_direction(code);
}

void append_escaped(std::uint32_t code, std::string& out) {
  char escape[16];
  if (code > 0xffff) {
    // As JSON has it: a pair of surrogates.
    const std::uint32_t rest = code - 0x10000;
    std::snprintf(escape, sizeof escape, "\\u%04x\\u%04x", 0xd800 | rest >> 10,
                  0xdc00 | (rest & 0x3ff));
  } else {
    std::snprintf(escape, sizeof escape, "\\u%04x", code);
  }
  out += escape;
}

void append_byte(char byte, std::string& out) {
  char escape[8];
  std::snprintf(escape, sizeof escape, "\\x%02x", static_cast<unsigned char>(byte));
  out += escape;
}

/// Returns true if more bytes may make a character of these, which are none yet.
bool may_become_character(std::string_view bytes) {
  if (bytes.empty() || bytes.size() >= kMostCharacterBytes) return false;
  std::string whole(bytes);
  // A continuation that every leading byte may have, then those that any may.
  for (const char second : {'\x80', '\x90', '\xa0'}) {
    std::string tried = whole;
    if (tried.size() == 1) tried += second;
    while (tried.size() < kMostCharacterBytes) tried += '\x80';
    const std::size_t size = utf8_character_size(tried, 0);
    if (size > bytes.size()) return true;
  }
  return false;
}

/// Appends the character at `at`, and returns how many bytes it has.
std::size_t append_character(std::string_view bytes, std::size_t at, std::string& out) {
  const std::size_t size = utf8_character_size(bytes, at);
  if (size == 0) {
    append_byte(bytes[at], out);
    return 1;
  }
  const std::string_view character = bytes.substr(at, size);
  const std::uint32_t code = code_point(character);
  if (is_unsafe(code)) {
    append_escaped(code, out);
  } else {
    out += character;
  }
  return size;
}

}  // namespace

std::string safe_text(std::string_view text, std::size_t max_bytes) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    if (max_bytes > 0 && out.size() >= max_bytes) return out + "...";
    const char c = text[at];
    if (c == '\n' || c == '\r' || c == '\t') {
      out += c == '\n' ? "\\n" : c == '\r' ? "\\r" : "\\t";
      ++at;
    } else {
      at += append_character(text, at, out);
    }
  }
  return out;
}

void SafeStream::append(std::string_view bytes, std::string& out) {
  std::string joined;
  if (!unfinished_.empty()) {
    joined = unfinished_ + std::string(bytes);
    unfinished_.clear();
    bytes = joined;
  }
  for (std::size_t at = 0; at < bytes.size();) {
    if (bytes[at] == '\n' || bytes[at] == '\t') {
      out += bytes[at++];
    } else if (utf8_character_size(bytes, at) == 0 && may_become_character(bytes.substr(at))) {
      unfinished_ = bytes.substr(at);
      return;
    } else {
      at += append_character(bytes, at, out);
    }
  }
}

void SafeStream::finish(std::string& out) {
  for (const char byte : unfinished_) append_byte(byte, out);
  unfinished_.clear();
}

}  // namespace tempest
