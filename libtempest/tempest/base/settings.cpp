#include "tempest/base/settings.hpp"

#include <charconv>
#include <optional>
#include <utility>

#include "tempest/base/quantity.hpp"

namespace tempest {
namespace {

/// A text that is one number and nothing else: variables stand within strings.
template <typename Number>
std::optional<Number> parse_whole(const std::string& text) {
  Number number{};
  const char* const end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, number);
  if (text.empty() || parsed.ec != std::errc() || parsed.ptr != end) return std::nullopt;
  return number;
}

}  // namespace

const Settings::Value* Settings::find(std::string_view key) const {
  const auto found = values_.find(key);
  return found == values_.end() ? nullptr : &found->second;
}

bool Settings::has(std::string_view key) const {
  return find(key) != nullptr;
}

std::string Settings::text(std::string_view key, std::string_view fallback) const {
  const Value* value = find(key);
  const auto* text = value ? std::get_if<std::string>(&value->data) : nullptr;
  return text ? *text : std::string(fallback);
}

std::int64_t Settings::integer(std::string_view key, std::int64_t fallback) const {
  const Value* value = find(key);
  if (!value) return fallback;
  if (const auto* text = std::get_if<std::string>(&value->data)) {
    return parse_whole<std::int64_t>(*text).value_or(fallback);
  }
  const auto* integer = std::get_if<std::int64_t>(&value->data);
  return integer ? *integer : fallback;
}

double Settings::number(std::string_view key, double fallback) const {
  const Value* value = find(key);
  if (!value) return fallback;
  if (const auto* number = std::get_if<double>(&value->data)) return *number;
  if (const auto* integer = std::get_if<std::int64_t>(&value->data)) {
    return static_cast<double>(*integer);
  }
  if (const auto* text = std::get_if<std::string>(&value->data)) {
    return parse_whole<double>(*text).value_or(fallback);
  }
  return fallback;
}

bool Settings::boolean(std::string_view key, bool fallback) const {
  const Value* value = find(key);
  if (!value) return fallback;
  if (const auto* text = std::get_if<std::string>(&value->data)) {
    return *text == "true" || (*text != "false" && fallback);
  }
  const auto* boolean = std::get_if<bool>(&value->data);
  return boolean ? *boolean : fallback;
}

Duration Settings::duration(std::string_view key, Duration fallback) const {
  const Value* value = find(key);
  const auto* text = value ? std::get_if<std::string>(&value->data) : nullptr;
  return text ? parse_duration(*text).value_or(fallback) : fallback;
}

std::uint64_t Settings::size_bytes(std::string_view key, std::uint64_t fallback) const {
  const Value* value = find(key);
  if (!value) return fallback;
  if (const auto* text = std::get_if<std::string>(&value->data)) {
    return parse_size_bytes(*text).value_or(fallback);
  }
  const auto* integer = std::get_if<std::int64_t>(&value->data);
  return integer && *integer >= 0 ? static_cast<std::uint64_t>(*integer) : fallback;
}

const Settings& Settings::table(std::string_view key) const {
  static const Settings empty;
  const Value* value = find(key);
  const auto* table = value ? std::get_if<Settings>(&value->data) : nullptr;
  return table ? *table : empty;
}

const Settings::List& Settings::list(std::string_view key) const {
  static const List empty;
  const Value* value = find(key);
  const auto* list = value ? std::get_if<List>(&value->data) : nullptr;
  return list ? *list : empty;
}

void Settings::set(std::string key, Value value) {
  values_.insert_or_assign(std::move(key), std::move(value));
}

}  // namespace tempest
