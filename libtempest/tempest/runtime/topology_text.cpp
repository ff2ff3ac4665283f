#include "tempest/runtime/topology_text.hpp"

#include <charconv>
#include <cmath>
#include <cstdio>
#include <utility>

#include "tempest/runtime/topology_check.hpp"

namespace tempest::runtime {
namespace {

std::string number_text(double number) {
  if (std::isnan(number)) return "nan";
  if (std::isinf(number)) return number > 0 ? "inf" : "-inf";
  char buffer[40];
  const auto [end, error] = std::to_chars(buffer, buffer + sizeof buffer, number);
  std::string text(buffer, end);
  // Without a point or an exponent it would be read as an integer.
  if (text.find_first_of(".e") == std::string::npos) text += ".0";
  return text;
}

std::string list_text(const Settings::List& list) {
  std::string text = "[";
  for (const Settings::Value& item : list) {
    if (text.size() > 1) text += ", ";
    text += toml_value(item);
  }
  return text + "]";
}

}  // namespace

std::string toml_text(std::string_view text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') result += '\\';
    if (static_cast<unsigned char>(c) >= 0x20 && c != 0x7f) {
      result += c;
      continue;
    }
    char escape[8];
    std::snprintf(escape, sizeof escape, "\\u%04x", static_cast<unsigned char>(c));
    result += escape;
  }
  return result + "\"";
}

std::string toml_key(std::string_view key) {
  return is_name(key) ? std::string(key) : toml_text(key);
}

std::string toml_value(const Settings::Value& value) {
  if (const auto* text = std::get_if<std::string>(&value.data)) return toml_text(*text);
  if (const auto* integer = std::get_if<std::int64_t>(&value.data)) return std::to_string(*integer);
  if (const auto* number = std::get_if<double>(&value.data)) return number_text(*number);
  if (const auto* boolean = std::get_if<bool>(&value.data)) return *boolean ? "true" : "false";
  if (const auto* table = std::get_if<Settings>(&value.data)) return toml_table(*table);
  return list_text(std::get<Settings::List>(value.data));
}

std::string toml_table(const Settings& settings) {
  std::string text = "{";
  for (const auto& [key, value] : settings.values()) {
    text += text.size() > 1 ? ", " : " ";
    text += toml_key(key) + " = " + toml_value(value);
  }
  return text + (text.size() > 1 ? " }" : "}");
}

std::string exact_duration(Duration duration) {
  constexpr std::pair<std::int64_t, const char*> units[] = {
      {1'000'000'000, "s"}, {1'000'000, "ms"}, {1'000, "us"}};
  const std::int64_t count = duration.count();
  for (const auto& [factor, name] : units) {
    if (count % factor == 0) return std::to_string(count / factor) + name;
  }
  return std::to_string(count) + "ns";
}

}  // namespace tempest::runtime
