#include "tempest/runtime/topology_lexis.hpp"

#include <algorithm>

namespace tempest::runtime {
namespace {

using Kind = TomlPiece::Kind;

Kind kind_at(std::string_view rest) {
  if (rest.starts_with('#')) return Kind::comment;
  if (rest.starts_with("\"\"\"")) return Kind::multiline_basic;
  if (rest.starts_with("'''")) return Kind::multiline_literal;
  if (rest.starts_with('"')) return Kind::basic;
  if (rest.starts_with('\'')) return Kind::literal;
  return Kind::bare;
}

// One past the closing quote of a string on one line, or the end of that line.
std::size_t end_of_line_string(std::string_view text, std::size_t begin, bool escapes) {
  const char quote = text[begin];
  std::size_t at = begin + 1;
  while (at < text.size() && text[at] != '\n') {
    if (text[at] == quote) return at + 1;
    if (escapes && text[at] == '\\' && at + 1 < text.size() && text[at + 1] != '\n') ++at;
    ++at;
  }
  return std::min(at, text.size());
}

std::size_t end_of_multiline(std::string_view text, std::size_t begin, bool escapes) {
  const std::string_view quotes = text.substr(begin, 3);
  std::size_t at = begin + 3;
  while (at < text.size()) {
    if (text.substr(at).starts_with(quotes)) {
      at += 3;
      // Up to two more quotes belong to the string's content, and so stand before its end.
      for (int more = 0; more < 2 && at < text.size() && text[at] == quotes[0]; ++more) ++at;
      return at;
    }
    at += escapes && text[at] == '\\' ? 2 : 1;
  }
  return text.size();
}

std::size_t end_of_piece(std::string_view text, std::size_t begin, Kind kind) {
  switch (kind) {
    case Kind::comment:
      return std::min(text.find('\n', begin), text.size());
    case Kind::basic:
      return end_of_line_string(text, begin, true);
    case Kind::literal:
      return end_of_line_string(text, begin, false);
    case Kind::multiline_basic:
      return end_of_multiline(text, begin, true);
    case Kind::multiline_literal:
      return end_of_multiline(text, begin, false);
    case Kind::bare:
      break;
  }
  return std::min(text.find_first_of("#\"'", begin), text.size());
}

}  // namespace

std::vector<TomlPiece> split_toml(std::string_view text) {
  std::vector<TomlPiece> pieces;
  for (std::size_t begin = 0; begin < text.size();) {
    const Kind kind = kind_at(text.substr(begin));
    const std::size_t end = end_of_piece(text, begin, kind);
    pieces.push_back({kind, begin, end});
    begin = end;
  }
  return pieces;
}

}  // namespace tempest::runtime
