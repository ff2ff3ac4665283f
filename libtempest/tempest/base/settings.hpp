#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "tempest/base/time.hpp"

namespace tempest {

/// What a topology's file says in one table, in plain values: how a source, a sink or a task is
/// set up. Whoever reads a built-in's table has checked it against the built-in's schema, so the
/// getters give the fallback only where the key was left out (or, for a user's own task that
/// declares no settings, where its value is of another type). A text that holds a number, or true
/// or false, is one as well: `count = "${COUNT:10}"`.
class Settings {
 public:
  struct Value;
  using List = std::vector<Value>;

  bool has(std::string_view key) const;

  std::string text(std::string_view key, std::string_view fallback = {}) const;
  std::int64_t integer(std::string_view key, std::int64_t fallback = 0) const;
  double number(std::string_view key, double fallback = 0) const;
  bool boolean(std::string_view key, bool fallback = false) const;
  /// From text such as "250ms", "30s", "5m".
  Duration duration(std::string_view key, Duration fallback = Duration::zero()) const;
  /// From text such as "64KiB", "1MiB", or a plain number of bytes.
  std::uint64_t size_bytes(std::string_view key, std::uint64_t fallback = 0) const;
  /// A table within; empty if there is none.
  const Settings& table(std::string_view key) const;
  /// A list within; empty if there is none.
  const List& list(std::string_view key) const;

  void set(std::string key, Value value);

  /// In the order of the keys.
  const std::map<std::string, Value, std::less<>>& values() const { return values_; }

 private:
  const Value* find(std::string_view key) const;

  std::map<std::string, Value, std::less<>> values_;
};

struct Settings::Value {
  std::variant<std::string, std::int64_t, double, bool, Settings, List> data;
};

}  // namespace tempest
