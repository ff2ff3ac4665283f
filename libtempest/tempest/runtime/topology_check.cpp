#include "tempest/runtime/topology_check.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>

#include "tempest/base/limits.hpp"
#include "tempest/base/quantity.hpp"
#include "tempest/base/spelling.hpp"

namespace tempest::runtime {
namespace {

constexpr std::size_t kMaxQuotedBytes = 80;

std::string number_text(double number) {
  char buffer[40];
  std::snprintf(buffer, sizeof buffer, "%.15g", number);
  return buffer;
}

std::string describe(const DocumentValue& value) {
  if (const auto* text = value.as<std::string>()) return in_quotes(*text);
  if (const auto* integer = value.as<std::int64_t>()) return "integer " + std::to_string(*integer);
  if (const auto* number = value.as<double>()) return "number " + number_text(*number);
  if (const auto* boolean = value.as<bool>()) return *boolean ? "true" : "false";
  if (value.as<DocumentTable>()) return "a table";
  if (value.as<DocumentList>()) return "a list";
  return "a date or time";
}

std::string table_title(const std::string& name) {
  const bool is_list = name == "task" || name == "source.pending";
  return is_list ? "[[" + name + "]]" : "[" + name + "]";
}

std::string in_table(const std::string& name) {
  return name.empty() ? "" : " in " + table_title(name);
}

// How a bound is written, in the unit that the key is.
std::string bound_text(const KeySchema& key, double bound) {
  if (key.kind == ValueKind::duration) return format_duration(Duration(std::llround(bound)));
  if (key.kind == ValueKind::size) return format_size_bytes(static_cast<std::uint64_t>(bound));
  return number_text(bound);
}

std::vector<std::string> types_of(const TableSchema& schema) {
  std::vector<std::string> types;
  for (const VariantSchema& variant : schema.variants) {
    if (!variant.from_library) types.push_back(variant.type);
  }
  return types;
}

bool contains(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

/// A value that is not text by itself, but that a text can say.
bool is_scalar(ValueKind kind) {
  return kind == ValueKind::duration || kind == ValueKind::size || kind == ValueKind::integer ||
         kind == ValueKind::number || kind == ValueKind::boolean;
}

/// A text that is one number and nothing else.
template <typename Number>
std::optional<Number> parse_whole(const std::string& text) {
  Number number{};
  const char* const end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, number);
  if (text.empty() || parsed.ec != std::errc() || parsed.ptr != end) return std::nullopt;
  return number;
}

const KeySchema* find_key(const std::vector<KeySchema>& keys, const std::string& name) {
  const auto found = std::find_if(keys.begin(), keys.end(),
                                  [&](const KeySchema& key) { return key.name == name; });
  return found == keys.end() ? nullptr : &*found;
}

}  // namespace

std::string DocumentCheck::Place::text() const {
  return "'" + key.name + "'" + in_table(table);
}

void DocumentCheck::report(Position at, std::string message) {
  diagnostics_.push_back({file_, at.line, at.column, std::move(message)});
}

Settings DocumentCheck::check(const DocumentTable& table, Position at, const TableSchema& schema,
                              const std::string& name) {
  const std::vector<KeySchema> keys = keys_of(table, schema, name);
  std::vector<std::string> names;
  for (const KeySchema& key : keys) names.push_back(key.name);

  Settings settings;
  std::vector<std::string> misspelt;
  for (const DocumentTable::Entry& entry : table.entries) {
    const KeySchema* key = find_key(keys, entry.key);
    if (!key) {
      report(entry.position, "unknown key " + in_quotes(entry.key, '\'') + in_table(name) +
                                 did_you_mean(entry.key, names));
      if (auto near = nearest_name(entry.key, names)) misspelt.push_back(std::move(*near));
      continue;
    }
    if (auto value = check_value(entry.value, {*key, name})) {
      settings.set(entry.key, std::move(*value));
    }
  }
  for (const KeySchema& key : keys) {
    // A required key that is there misspelt has been reported as that.
    const bool is_missing = !table.find(key.name) && !contains(misspelt, key.name);
    if (is_missing && key.required) report_missing(at, key, name);
    if (key.fallback && !settings.has(key.name)) settings.set(key.name, *key.fallback);
  }
  return settings;
}

// The keys that this table may have. Where its type is unknown, all that any type has, none of them
// required: the type is the one fault to mend.
std::vector<KeySchema> DocumentCheck::keys_of(const DocumentTable& table, const TableSchema& schema,
                                              const std::string& name) {
  std::vector<KeySchema> keys = schema.keys;
  if (schema.variants.empty()) return keys;
  KeySchema type_key;
  type_key.name = "type";
  type_key.required = true;
  keys.push_back(type_key);

  const DocumentTable::Entry* entry = table.find("type");
  const auto* type = entry ? entry->value.as<std::string>() : nullptr;
  const VariantSchema* chosen = type ? find_variant(schema, *type) : nullptr;
  if (type && !chosen && !type->empty()) report_type(entry->value, *type, schema, name);
  for (const VariantSchema& variant : schema.variants) {
    if (chosen && chosen != &variant) continue;
    for (KeySchema key : variant.keys) {
      if (!chosen) {
        key.required = false;
        key.fallback.reset();
      }
      if (!find_key(keys, key.name)) keys.push_back(std::move(key));
    }
  }
  return keys;
}

void DocumentCheck::report_type(const DocumentValue& value, const std::string& type,
                                const TableSchema& schema, const std::string& name) {
  const std::vector<std::string> types = types_of(schema);
  if (contains(schema.withheld_types, type)) {
    report(value.position,
           "type " + in_quotes(type) + " is not available in this version; use " + listed(types));
    return;
  }
  const auto from_library =
      std::find_if(schema.variants.begin(), schema.variants.end(),
                   [](const VariantSchema& variant) { return variant.from_library; });
  if (from_library != schema.variants.end() && type.find(':') != std::string::npos) {
    report(value.position, "'type'" + in_table(name) + ": " + in_quotes(type) +
                               " is not of the form " + in_quotes(from_library->type));
    return;
  }
  const std::string near = did_you_mean(type, types, '"');
  std::string known = "; there are " + listed(types);
  if (from_library != schema.variants.end()) {
    known += ", and " + in_quotes(from_library->type) + " for a library's";
  }
  report(value.position,
         "unknown type " + in_quotes(type) + in_table(name) + (near.empty() ? known : near));
}

void DocumentCheck::report_missing(Position at, const KeySchema& key, const std::string& table) {
  if (table.empty() && key.kind == ValueKind::table) {
    report(at, "missing table [" + key.name + "]");
  } else if (table.empty() && key.kind == ValueKind::table_list) {
    report(at, "missing table [[" + key.name + "]]: at least one is needed");
  } else {
    report(at, "missing key '" + key.name + "'" + in_table(table));
  }
}

DocumentCheck::Value DocumentCheck::check_value(const DocumentValue& value, const Place& place) {
  const auto* text = value.as<std::string>();
  // So that "${VARIABLE:}" can leave an optional key out, whatever is wanted there.
  if (text && text->empty() && !place.key.required && is_scalar(place.key.kind))
    return std::nullopt;
  switch (place.key.kind) {
    case ValueKind::text:
    case ValueKind::name:
      return check_text(value, place);
    case ValueKind::text_list:
      return check_text_list(value, place);
    case ValueKind::duration:
      return check_duration(value, place);
    case ValueKind::size:
      return check_size(value, place);
    case ValueKind::integer:
    case ValueKind::number:
      return check_number(value, place);
    case ValueKind::boolean:
      if (const auto* boolean = value.as<bool>()) return Settings::Value{*boolean};
      if (text && (*text == "true" || *text == "false")) return Settings::Value{*text == "true"};
      return expected(value, place, "true or false");
    case ValueKind::table:
    case ValueKind::table_list:
    case ValueKind::free_table:
      return check_tables(value, place);
  }
  return std::nullopt;
}

DocumentCheck::Value DocumentCheck::expected(const DocumentValue& value, const Place& place,
                                             const std::string& what) {
  report(value.position, place.text() + ": expected " + what + ", got " + describe(value));
  return std::nullopt;
}

DocumentCheck::Value DocumentCheck::check_text(const DocumentValue& value, const Place& place) {
  const KeySchema& key = place.key;
  const auto* text = value.as<std::string>();
  if (!text) return expected(value, place, "a string");
  if (text->find('\0') != std::string::npos) {
    report(value.position, place.text() + ": must not hold a NUL character");
    return std::nullopt;
  }
  if (text->empty()) {
    // So that "${VARIABLE:}" can leave an optional key out.
    if (key.required) report(value.position, place.text() + ": must not be empty");
    return std::nullopt;
  }
  if (key.kind == ValueKind::name && !is_name(*text)) {
    report(value.position, place.text() + ": " + in_quotes(*text) +
                               " is no name; use letters, digits, '-' and '_', at most " +
                               std::to_string(kMaxNameBytes));
    return std::nullopt;
  }
  if (key.allowed.empty() || contains(key.allowed, *text)) return Settings::Value{*text};

  if (contains(key.withheld, *text)) {
    report(value.position, key.name + " " + in_quotes(*text) +
                               " is not available in this version; use " + listed(key.allowed));
    return std::nullopt;
  }
  const std::string near = did_you_mean(*text, key.allowed, '"');
  report(value.position, place.text() + ": unknown value " + in_quotes(*text) +
                             (near.empty() ? "; there are " + listed(key.allowed) : near));
  return std::nullopt;
}

DocumentCheck::Value DocumentCheck::check_text_list(const DocumentValue& value,
                                                    const Place& place) {
  const auto* list = value.as<DocumentList>();
  if (!list) return expected(value, place, "a list of strings");
  Settings::List texts;
  for (const DocumentValue& item : *list) {
    if (auto text = check_text(item, place)) texts.push_back(std::move(*text));
  }
  return Settings::Value{std::move(texts)};
}

DocumentCheck::Value DocumentCheck::check_duration(const DocumentValue& value, const Place& place) {
  const auto* text = value.as<std::string>();
  const auto duration = text ? parse_duration(*text) : std::nullopt;
  if (!duration) return expected(value, place, "a duration such as \"30s\"");
  if (*duration > kLongestDuration) {
    report(value.position, place.text() + ": must be at most 365d, got " + describe(value));
    return std::nullopt;
  }
  if (!in_range(value, place, static_cast<double>(duration->count()))) return std::nullopt;
  return Settings::Value{*text};
}

DocumentCheck::Value DocumentCheck::check_size(const DocumentValue& value, const Place& place) {
  std::optional<std::uint64_t> bytes;
  if (const auto* text = value.as<std::string>()) bytes = parse_size_bytes(*text);
  if (const auto* integer = value.as<std::int64_t>(); integer && *integer >= 0) {
    bytes = static_cast<std::uint64_t>(*integer);
  }
  if (!bytes) return expected(value, place, "a size such as \"64KiB\" or a number of bytes");
  if (!in_range(value, place, static_cast<double>(*bytes))) return std::nullopt;
  return Settings::Value{static_cast<std::int64_t>(*bytes)};
}

DocumentCheck::Value DocumentCheck::check_number(const DocumentValue& value, const Place& place) {
  // Variables stand within strings: a string that holds a number, and nothing else, is one.
  const auto* text = value.as<std::string>();
  std::optional<std::int64_t> integer = text ? parse_whole<std::int64_t>(*text) : std::nullopt;
  if (const auto* written = value.as<std::int64_t>()) integer = *written;
  if (integer) {
    if (!in_range(value, place, static_cast<double>(*integer))) return std::nullopt;
    return Settings::Value{*integer};
  }
  if (place.key.kind == ValueKind::integer) return expected(value, place, "an integer");
  std::optional<double> number = text ? parse_whole<double>(*text) : std::nullopt;
  if (const auto* written = value.as<double>()) number = *written;
  if (!number || !std::isfinite(*number)) return expected(value, place, "a number");
  if (!in_range(value, place, *number)) return std::nullopt;
  return Settings::Value{*number};
}

bool DocumentCheck::in_range(const DocumentValue& value, const Place& place, double number) {
  const KeySchema& key = place.key;
  if (key.minimum && number < *key.minimum) {
    report(value.position, place.text() + ": must be at least " + bound_text(key, *key.minimum) +
                               ", got " + describe(value));
    return false;
  }
  if (key.maximum && number > *key.maximum) {
    report(value.position, place.text() + ": must be at most " + bound_text(key, *key.maximum) +
                               ", got " + describe(value));
    return false;
  }
  return true;
}

DocumentCheck::Value DocumentCheck::check_tables(const DocumentValue& value, const Place& place) {
  const std::string inner = place.inner_table();
  if (place.key.kind == ValueKind::table_list) {
    const auto* list = value.as<DocumentList>();
    if (!list)
      return expected(value, place, table_title(inner) + " with two brackets on each side");
    Settings::List tables;
    for (const DocumentValue& item : *list) {
      Settings settings;
      if (const auto* table = item.as<DocumentTable>()) {
        settings = check(*table, item.position, *place.key.table, inner);
      } else {
        expected(item, place, "a table");
      }
      tables.push_back({std::move(settings)});
    }
    return Settings::Value{std::move(tables)};
  }
  const auto* table = value.as<DocumentTable>();
  if (!table) return expected(value, place, "a table");
  if (place.key.kind == ValueKind::free_table) return Settings::Value{take_all(*table, inner)};
  return Settings::Value{check(*table, value.position, *place.key.table, inner)};
}

Settings DocumentCheck::take_all(const DocumentTable& table, const std::string& name) {
  Settings settings;
  for (const DocumentTable::Entry& entry : table.entries) {
    if (auto value = take(entry.value, entry.key, name)) {
      settings.set(entry.key, std::move(*value));
    }
  }
  return settings;
}

DocumentCheck::Value DocumentCheck::take(const DocumentValue& value, const std::string& key,
                                         const std::string& table) {
  if (const auto* text = value.as<std::string>()) return Settings::Value{*text};
  if (const auto* integer = value.as<std::int64_t>()) return Settings::Value{*integer};
  if (const auto* number = value.as<double>()) return Settings::Value{*number};
  if (const auto* boolean = value.as<bool>()) return Settings::Value{*boolean};
  if (const auto* inner = value.as<DocumentTable>()) {
    return Settings::Value{take_all(*inner, table + "." + key)};
  }
  if (const auto* list = value.as<DocumentList>()) {
    Settings::List values;
    for (const DocumentValue& item : *list) {
      if (auto taken = take(item, key, table)) values.push_back(std::move(*taken));
    }
    return Settings::Value{std::move(values)};
  }
  report(value.position,
         "'" + key + "'" + in_table(table) + ": a date or time must be written as a string");
  return std::nullopt;
}

bool is_name(std::string_view text) {
  const auto fits = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
  };
  return !text.empty() && text.size() <= kMaxNameBytes &&
         std::all_of(text.begin(), text.end(), fits);
}

std::string did_you_mean(std::string_view word, std::span<const std::string> candidates,
                         char quote) {
  const auto nearest = nearest_name(word.substr(0, kMaxNameBytes), candidates);
  return nearest ? std::string("; did you mean ") + quote + *nearest + quote + "?" : "";
}

std::string in_quotes(std::string_view text, char quote) {
  std::size_t length = std::min(text.size(), kMaxQuotedBytes);
  const auto is_inside_character = [&](std::size_t at) {
    return at < text.size() && (static_cast<unsigned char>(text[at]) & 0xc0) == 0x80;
  };
  while (length > 0 && is_inside_character(length)) --length;

  std::string result(1, quote);
  for (const char c : text.substr(0, length)) {
    if (c == quote || c == '\\') result += '\\';
    if (static_cast<unsigned char>(c) >= 0x20 && c != 0x7f) {
      result += c;
      continue;
    }
    char escape[8];
    std::snprintf(escape, sizeof escape, "\\x%02x", static_cast<unsigned char>(c));
    result += escape;
  }
  if (length < text.size()) result += "...";
  return result + quote;
}

std::string listed(const std::vector<std::string>& names) {
  std::string text;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (i > 0) text += i + 1 == names.size() ? " or " : ", ";
    text += in_quotes(names[i]);
  }
  return text;
}

}  // namespace tempest::runtime
