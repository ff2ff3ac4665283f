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

// How deep defaults may hold variables that have defaults.
constexpr int kMaxNesting = 8;

/// The offset of the brace that closes the variable at the start of `text` ("${..."), or npos if
/// its line does not. A default may hold variables of its own.
std::size_t closing_brace(std::string_view text) {
  int open = 0;
  for (std::size_t i = 0; i < text.size() && text[i] != '\n'; ++i) {
    if (text.substr(i, 2) == "${") ++open;
    if (text[i] == '}' && --open == 0) return i;
  }
  return std::string_view::npos;
}

/// Fills the variables of one string in: the values, as they must stand in a string of its kind.
class Values {
 public:
  Values(Kind kind, const VariableFilling::Lookup& lookup) : kind_(kind), lookup_(lookup) {}

  const std::string& error() const { return error_; }

  /// Returns what stands for "${NAME}", "${NAME:default}" or "${NAME:-default}", given what is
  /// between the braces; or nothing, and error() says why.
  std::optional<std::string> value_of(std::string_view inside) {
    const std::size_t colon = inside.find(':');
    const std::string name(inside.substr(0, colon));
    if (!is_variable_name(name)) {
      return fail(in_quotes(name, '\'') +
                  " is no variable's name; write ${NAME}, ${NAME:default}, or " +
                  "$${ for a plain ${");
    }
    const bool has_default = colon != std::string_view::npos;
    std::string_view fallback = has_default ? inside.substr(colon + 1) : std::string_view();
    const char sign = fallback.empty() ? '\0' : fallback.front();
    if (sign == '=' || sign == '?' || sign == '+') {
      return fail("a shell's \"${" + name + ":" + sign + "...}\" is not known here; write ${" +
                  name + ":-" + sign + "...} for a default that begins with '" + sign + "'");
    }
    // As in a shell: the default stands for an empty value as well.
    const bool also_for_empty = sign == '-';
    if (also_for_empty) fallback.remove_prefix(1);
    const auto value = lookup_(name);
    if (value && !(also_for_empty && value->empty())) {
      auto result = escaped(*value, kind_);
      if (!result) {
        return fail("the value of '" + name + "' cannot stand in single quotes; use double quotes");
      }
      return result;
    }
    if (!has_default) {
      return fail("the environment variable '" + name + "' is not set; set it, or write ${" + name +
                  ":default}");
    }
    return filled(fallback);
  }

 private:
  std::optional<std::string> fail(std::string error) {
    error_ = std::move(error);
    return std::nullopt;
  }

  /// A default with its own variables filled in.
  std::optional<std::string> filled(std::string_view text) {
    if (++depth_ > kMaxNesting) return fail("variables' defaults are nested too deeply");
    std::string result;
    while (!text.empty()) {
      const std::size_t mark = text.find("${");
      result += text.substr(0, mark);
      if (mark == std::string_view::npos) break;
      text.remove_prefix(mark);
      const std::size_t close = closing_brace(text);
      if (close == std::string_view::npos) return fail("'${' without '}' in a default");
      const auto value = value_of(text.substr(2, close - 2));
      if (!value) return std::nullopt;
      result += *value;
      text.remove_prefix(close + 1);
    }
    --depth_;
    return result;
  }

  Kind kind_;
  const VariableFilling::Lookup& lookup_;
  std::string error_;
  int depth_ = 0;
};

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
      const std::size_t close = closing_brace(rest.substr(mark));
      const bool is_closed = close != std::string_view::npos;
      const std::size_t end = is_closed ? mark + close + 1 : line_end;
      const std::string_view whole = rest.substr(mark, end - mark);
      std::string error = "'${' without '}'; write $${ for a plain ${";
      std::optional<std::string> value;
      if (is_closed) {
        Values values(piece.kind, lookup);
        value = values.value_of(whole.substr(2, whole.size() - 3));
        error = values.error();
      }
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
