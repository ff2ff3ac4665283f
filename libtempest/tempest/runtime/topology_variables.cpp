#include "tempest/runtime/topology_variables.hpp"

#include <algorithm>
#include <cstdio>

#include "tempest/runtime/topology_check.hpp"
#include "tempest/runtime/topology_lexis.hpp"

namespace tempest::runtime {
namespace {

using Kind = TomlPiece::Kind;

int count_columns(std::string_view text) {
  return static_cast<int>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  }));
}

void advance(Position& position, std::string_view text) {
  const std::size_t line_end = text.rfind('\n');
  if (line_end == std::string_view::npos) {
    position.column += count_columns(text);
    return;
  }
  position.line += static_cast<int>(std::count(text.begin(), text.end(), '\n'));
  position.column = 1 + count_columns(text.substr(line_end + 1));
}

bool is_variable_name(std::string_view name) {
  const auto is_letter = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
  };
  if (name.empty() || !is_letter(name.front())) return false;
  return std::all_of(name.begin(), name.end(),
                     [&](char c) { return is_letter(c) || (c >= '0' && c <= '9'); });
}

// The value as it must stand in a string of this kind; nothing if it cannot.
std::optional<std::string> escaped(const std::string& value, Kind kind) {
  std::string result;
  for (const char c : value) {
    const bool is_control = static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
    if (kind == Kind::literal || kind == Kind::multiline_literal) {
      if (c == '\'' || is_control) return std::nullopt;
      result += c;
      continue;
    }
    if (is_control) {
      char escape[8];
      std::snprintf(escape, sizeof escape, "\\u%04x", static_cast<unsigned char>(c));
      result += escape;
      continue;
    }
    if (c == '"' || c == '\\') result += '\\';
    result += c;
  }
  return result;
}

// What stands for "${NAME}" or "${NAME:default}", given what is between the braces; or an error.
std::optional<std::string> value_of(std::string_view inside, Kind kind,
                                    const VariableFilling::Lookup& lookup, std::string& error) {
  const std::size_t colon = inside.find(':');
  const std::string name(inside.substr(0, colon));
  if (!is_variable_name(name)) {
    error = quoted(name, '\'') + " is no variable's name; write ${NAME}, ${NAME:default}, or $${ " +
            "for a plain ${";
    return std::nullopt;
  }
  if (const auto value = lookup(name)) {
    auto result = escaped(*value, kind);
    if (!result) {
      error = "the value of '" + name + "' cannot stand in single quotes; use double quotes";
    }
    return result;
  }
  if (colon == std::string_view::npos) {
    error = "the environment variable '" + name + "' is not set; set it, or write ${" + name +
            ":default}";
    return std::nullopt;
  }
  return std::string(inside.substr(colon + 1));
}

}  // namespace

bool VariableFilling::fill(std::string_view text, const std::string& file, const Lookup& lookup,
                           std::vector<Diagnostic>& diagnostics) {
  filled_.clear();
  replacements_.clear();
  const std::size_t diagnostics_before = diagnostics.size();
  Position original_at;
  Position filled_at;
  const auto put = [&](std::string_view original, std::string_view filled) {
    if (original.size() != filled.size() || original != filled) {
      replacements_.push_back({filled_at, count_columns(filled), count_columns(original)});
    }
    filled_ += filled;
    advance(original_at, original);
    advance(filled_at, filled);
  };

  for (const TomlPiece& piece : split_toml(text)) {
    std::string_view rest = text.substr(piece.begin, piece.end - piece.begin);
    const bool is_string = piece.kind != Kind::bare && piece.kind != Kind::comment;
    while (!rest.empty()) {
      const std::size_t mark = is_string ? rest.find("${") : std::string_view::npos;
      if (mark == std::string_view::npos) {
        put(rest, rest);
        break;
      }
      if (mark > 0 && rest[mark - 1] == '$') {
        put(rest.substr(0, mark - 1), rest.substr(0, mark - 1));
        put("$${", "${");
        rest.remove_prefix(mark + 2);
        continue;
      }
      put(rest.substr(0, mark), rest.substr(0, mark));
      const std::size_t line_end = std::min(rest.find('\n', mark), rest.size());
      const std::size_t close = rest.find('}', mark);
      const bool is_closed = close < line_end;
      const std::size_t end = is_closed ? close + 1 : line_end;
      const std::string_view whole = rest.substr(mark, end - mark);
      std::string error = "'${' without '}'; write $${ for a plain ${";
      std::optional<std::string> value;
      if (is_closed) value = value_of(whole.substr(2, whole.size() - 3), piece.kind, lookup, error);
      if (!value) diagnostics.push_back({file, original_at.line, original_at.column, error});
      put(whole, value ? std::string_view(*value) : whole);
      rest.remove_prefix(end);
    }
  }
  return diagnostics.size() == diagnostics_before;
}

Position VariableFilling::original(Position filled) const {
  int shift = 0;
  for (const Replacement& replacement : replacements_) {
    if (replacement.begin.line != filled.line || replacement.begin.column > filled.column) continue;
    if (filled.column < replacement.begin.column + replacement.columns) {
      return {filled.line, replacement.begin.column + shift};
    }
    shift += replacement.original_columns - replacement.columns;
  }
  return {filled.line, filled.column + shift};
}

}  // namespace tempest::runtime
