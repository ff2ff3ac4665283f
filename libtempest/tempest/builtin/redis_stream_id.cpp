#include "tempest/builtin/redis_stream_id.hpp"

#include <array>
#include <charconv>

namespace tempest::builtin {

std::size_t write_stream_id(const SourceToken& token, char* text) {
  char* const end = text + kMaxStreamIdBytes;
  char* at = std::to_chars(text, end, token.high).ptr;
  *at++ = '-';
  return static_cast<std::size_t>(std::to_chars(at, end, token.low).ptr - text);
}

std::string stream_id(const SourceToken& token) {
  std::array<char, kMaxStreamIdBytes> text;
  return {text.data(), write_stream_id(token, text.data())};
}

std::optional<SourceToken> parse_stream_id(std::string_view text) {
  SourceToken token;
  const char* const end = text.data() + text.size();
  const auto high = std::from_chars(text.data(), end, token.high);
  if (high.ec != std::errc{} || high.ptr == end || *high.ptr != '-') return std::nullopt;
  const auto low = std::from_chars(high.ptr + 1, end, token.low);
  if (low.ec != std::errc{} || low.ptr != end) return std::nullopt;
  return token;
}

SourceToken next_stream_id(SourceToken token) {
  if (++token.low == 0) ++token.high;
  return token;
}

}  // namespace tempest::builtin
