#include "tempest/base/ids.hpp"

#include <array>
#include <charconv>

namespace tempest {

namespace {

void append_hex(std::uint64_t value, std::string& text) {
  constexpr std::string_view digits = "0123456789abcdef";
  for (int shift = 60; shift >= 0; shift -= 4) text.push_back(digits[(value >> shift) & 0xf]);
}

std::optional<std::uint64_t> parse_hex(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

std::string to_string(const Incarnation& incarnation) {
  std::string text;
  text.reserve(32);
  append_hex(incarnation.high, text);
  append_hex(incarnation.low, text);
  return text;
}

std::optional<Incarnation> parse_incarnation(std::string_view text) {
  if (text.size() != 32) return std::nullopt;
  const auto high = parse_hex(text.substr(0, 16));
  const auto low = parse_hex(text.substr(16));
  if (!high || !low) return std::nullopt;
  return Incarnation{*high, *low};
}

const char* to_string(Role role) {
  constexpr std::array<const char*, 6> names = {"broker", "source", "pipeline",
                                                "task",   "stats",  "operator"};
  const auto index = static_cast<std::size_t>(role);
  return index < names.size() ? names[index] : "unknown";
}

}  // namespace tempest
