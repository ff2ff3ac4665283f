#include "tempest/runtime/topology_document.hpp"

namespace {

// Some texts, "[[{x]]" for one, break what the parser takes for granted. Its assertions must then
// refuse the text in place of ending the process, in every build.
struct ParserAssertion {};

[[noreturn]] void refuse_text() {
  throw ParserAssertion{};
}

}  // namespace

#undef NDEBUG
#define TOML_ASSERT(condition) static_cast<void>((condition) || (refuse_text(), false))
#define TOML_EXCEPTIONS 1
#define TOML_MAX_NESTED_VALUES 64
#include <toml++/toml.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "tempest/base/limits.hpp"
#include "tempest/base/quantity.hpp"
#include "tempest/runtime/topology_lexis.hpp"

namespace tempest::runtime {
namespace {

// The parser bounds how deep values nest (above), but not dotted keys, and it recurses over both.
constexpr std::size_t kMaxKeyParts = 32;
constexpr int kMaxDepth = 64;

Position position_of(const toml::source_region& region) {
  // Tables that only a dotted key implies have no place of their own.
  return {std::max(1, static_cast<int>(region.begin.line)),
          std::max(1, static_cast<int>(region.begin.column))};
}

// Copies a parsed tree; keeps where it first got too deep.
class Conversion {
 public:
  DocumentTable table(const toml::table& from, int depth) {
    DocumentTable result;
    for (const auto& [key, value] : from) {
      result.entries.push_back(
          {std::string(key.str()), position_of(key.source()), convert(value, depth + 1)});
    }
    std::stable_sort(
        result.entries.begin(), result.entries.end(),
        [](const auto& left, const auto& right) { return left.position < right.position; });
    return result;
  }

  const std::optional<Position>& too_deep() const { return too_deep_; }

 private:
  DocumentValue convert(const toml::node& node, int depth) {
    DocumentValue result{position_of(node.source()), DocumentMoment{}};
    if (depth > kMaxDepth) {
      if (!too_deep_) too_deep_ = result.position;
    } else if (const auto* text = node.as_string()) {
      result.data = text->get();
    } else if (const auto* integer = node.as_integer()) {
      result.data = integer->get();
    } else if (const auto* number = node.as_floating_point()) {
      result.data = number->get();
    } else if (const auto* boolean = node.as_boolean()) {
      result.data = boolean->get();
    } else if (const auto* inner = node.as_table()) {
      result.data = table(*inner, depth);
    } else if (const auto* array = node.as_array()) {
      DocumentList list;
      for (const toml::node& item : *array) list.push_back(convert(item, depth + 1));
      result.data = std::move(list);
    }
    return result;
  }

  std::optional<Position> too_deep_;
};

// "Error while parsing string: ..." as "syntax error in string: ...".
std::string syntax_error(std::string_view description) {
  constexpr std::string_view opening = "Error while parsing ";
  if (!description.starts_with(opening)) return "syntax error: " + std::string(description);
  return "syntax error in " + std::string(description.substr(opening.size()));
}

bool is_open_string(std::string_view text, const TomlPiece& piece) {
  const bool is_string =
      piece.kind == TomlPiece::Kind::basic || piece.kind == TomlPiece::Kind::literal;
  return is_string && (piece.end - piece.begin < 2 || text[piece.end - 1] != text[piece.begin]);
}

Position position_at(std::string_view text, std::size_t offset) {
  Position position;
  for (const char c : text.substr(0, offset)) {
    if (c == '\n') {
      ++position.line;
      position.column = 1;
    } else if ((static_cast<unsigned char>(c) & 0xc0) != 0x80) {
      ++position.column;
    }
  }
  return position;
}

// The place of the first string that its line does not close, which the parser reports as something
// else. Only of use where there is a syntax error.
std::optional<Position> find_open_string(std::string_view text) {
  for (const TomlPiece& piece : split_toml(text)) {
    if (is_open_string(text, piece)) return position_at(text, piece.begin);
  }
  return std::nullopt;
}

bool breaks_parser(std::string_view text) {
  try {
    static_cast<void>(toml::parse(text));
  } catch (const toml::parse_error&) {
  } catch (const ParserAssertion&) {
    return true;
  }
  return false;
}

// An assertion does not say where it was. The parser reads from the start and stops there, so the
// shortest text of whole lines that breaks it ends with the line.
Position find_assertion(std::string_view text) {
  std::vector<std::size_t> line_ends;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\n') line_ends.push_back(i);
  }
  line_ends.push_back(text.size());
  const auto first = std::partition_point(line_ends.begin(), line_ends.end(), [&](std::size_t end) {
    return !breaks_parser(text.substr(0, end));
  });
  return {static_cast<int>(first - line_ends.begin()) + 1, 1};
}

// The offset of a key with too many parts, or npos.
std::size_t find_deep_key(std::string_view text) {
  std::size_t parts = 0;
  for (const TomlPiece& piece : split_toml(text)) {
    if (piece.kind != TomlPiece::Kind::bare) continue;
    for (std::size_t i = piece.begin; i < piece.end; ++i) {
      if (text[i] == '.' && ++parts >= kMaxKeyParts) return i;
      if (std::string_view("=,[]{}\n").find(text[i]) != std::string_view::npos) parts = 0;
    }
  }
  return std::string_view::npos;
}

}  // namespace

std::string Diagnostic::text() const {
  if (line == 0) return file + ": " + message;
  return file + ":" + std::to_string(line) + ":" + std::to_string(column) + ": " + message;
}

const DocumentTable::Entry* DocumentTable::find(std::string_view key) const {
  for (const Entry& entry : entries) {
    if (entry.key == key) return &entry;
  }
  return nullptr;
}

bool parse_document(std::string_view text, const std::string& file, DocumentTable& document,
                    std::vector<Diagnostic>& diagnostics) {
  const auto refuse = [&](Position at, std::string message) {
    diagnostics.push_back({file, at.line, at.column, std::move(message)});
    return false;
  };
  if (text.size() > kMaxTopologyBytes) {
    return refuse({}, "too large: " + format_size_bytes(text.size()) + ", at most " +
                          format_size_bytes(kMaxTopologyBytes));
  }
  if (const std::size_t deep = find_deep_key(text); deep != std::string_view::npos) {
    return refuse(position_at(text, deep),
                  "syntax error: a key of more than " + std::to_string(kMaxKeyParts) + " parts");
  }
  toml::table parsed;
  try {
    parsed = toml::parse(text);
  } catch (const toml::parse_error& error) {
    const auto open_string = find_open_string(text);
    if (open_string && open_string->line == position_of(error.source()).line) {
      return refuse(*open_string, "syntax error: the string has no closing quote in its line");
    }
    return refuse(position_of(error.source()), syntax_error(error.description()));
  } catch (const ParserAssertion&) {
    return refuse(find_assertion(text), "syntax error: this line is not understood");
  }
  Conversion conversion;
  document = conversion.table(parsed, 0);
  if (conversion.too_deep()) return refuse(*conversion.too_deep(), "values nest too deeply");
  return true;
}

}  // namespace tempest::runtime
