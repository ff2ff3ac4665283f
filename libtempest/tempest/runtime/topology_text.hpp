#pragma once

#include <string>
#include <string_view>

#include "tempest/base/settings.hpp"
#include "tempest/base/time.hpp"

/// Writes TOML, such that reading it back gives exactly the same.
namespace tempest::runtime {

std::string toml_text(std::string_view text);
std::string toml_value(const Settings::Value& value);
/// On one line: { a = 1, b = "x" }.
std::string toml_table(const Settings& settings);
std::string toml_key(std::string_view key);

/// Lossless, as format_duration() is not: a whole number of the largest unit that fits.
std::string exact_duration(Duration duration);

}  // namespace tempest::runtime
