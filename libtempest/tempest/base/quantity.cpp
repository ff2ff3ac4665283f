#include "tempest/base/quantity.hpp"

#include <array>
#include <charconv>
#include <cstdio>
#include <limits>

namespace tempest {
namespace {

struct Unit {
  std::string_view name;
  std::uint64_t factor;
};

constexpr std::array<Unit, 7> kDurationUnits = {{{"ns", 1},
                                                 {"us", 1'000},
                                                 {"ms", 1'000'000},
                                                 {"s", 1'000'000'000},
                                                 {"m", 60'000'000'000},
                                                 {"h", 3'600'000'000'000},
                                                 {"d", 86'400'000'000'000}}};

constexpr std::array<Unit, 8> kSizeUnits = {{{"", 1},
                                             {"B", 1},
                                             {"KB", 1'000},
                                             {"MB", 1'000'000},
                                             {"GB", 1'000'000'000},
                                             {"KiB", 1ULL << 10},
                                             {"MiB", 1ULL << 20},
                                             {"GiB", 1ULL << 30}}};

template <std::size_t N>
std::uint64_t factor_of(const std::array<Unit, N>& units, std::string_view name) {
  for (const Unit& unit : units) {
    if (unit.name == name) return unit.factor;
  }
  return 0;
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

std::string_view take_digits(std::string_view& text) {
  std::size_t count = 0;
  while (count < text.size() && is_digit(text[count])) ++count;
  const std::string_view digits = text.substr(0, count);
  text.remove_prefix(count);
  return digits;
}

// digits * factor, if it fits below `limit`.
std::optional<std::uint64_t> scaled(std::string_view digits, std::uint64_t factor,
                                    std::uint64_t limit) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  if (number > limit / factor) return std::nullopt;
  return number * factor;
}

// The value of digits after the point, in units of 1/factor; what is finer than that is cut.
std::uint64_t fraction(std::string_view digits, std::uint64_t factor) {
  std::uint64_t sum = 0;
  std::uint64_t divisor = 1;
  for (const char digit : digits) {
    divisor *= 10;
    const std::uint64_t part = static_cast<std::uint64_t>(digit - '0') * factor;
    if (divisor > part && divisor > factor * 10) break;
    sum += part / divisor;
  }
  return sum;
}

// At most three digits after the point, and none that are idle zeros.
std::string trimmed(double value) {
  char buffer[64];
  std::snprintf(buffer, sizeof buffer, "%.3f", value);
  std::string text = buffer;
  while (text.back() == '0') text.pop_back();
  if (text.back() == '.') text.pop_back();
  return text;
}

}  // namespace

std::optional<Duration> parse_duration(std::string_view text) {
  std::string_view rest = text;
  const std::string_view whole = take_digits(rest);
  std::string_view part;
  if (!rest.empty() && rest.front() == '.') {
    rest.remove_prefix(1);
    part = take_digits(rest);
    if (part.empty()) return std::nullopt;
  }
  const std::uint64_t factor = factor_of(kDurationUnits, rest);
  if (whole.empty() || factor == 0) return std::nullopt;

  constexpr std::uint64_t limit = std::numeric_limits<Duration::rep>::max();
  const auto base = scaled(whole, factor, limit);
  if (!base) return std::nullopt;
  const std::uint64_t more = fraction(part, factor);
  if (more > limit - *base) return std::nullopt;
  return Duration(static_cast<Duration::rep>(*base + more));
}

std::optional<std::uint64_t> parse_size_bytes(std::string_view text) {
  std::string_view rest = text;
  const std::string_view digits = take_digits(rest);
  const std::uint64_t factor = factor_of(kSizeUnits, rest);
  if (digits.empty() || factor == 0) return std::nullopt;
  return scaled(digits, factor, std::numeric_limits<std::int64_t>::max());
}

std::string format_duration(Duration duration) {
  const auto count = duration.count();
  if (count < 0)
    return "-" + format_duration(
                     Duration(count == Duration::min().count() ? Duration::max().count() : -count));
  if (count < 1'000) return std::to_string(count) + "ns";
  // What rounds up to a whole next unit is written in that one.
  if (count < 999'999) return trimmed(static_cast<double>(count) / 1e3) + "us";
  if (count < 999'999'500) return trimmed(static_cast<double>(count) / 1e6) + "ms";
  if (count < 59'999'500'000) return trimmed(static_cast<double>(count) / 1e9) + "s";

  const auto seconds = (count + 500'000'000) / 1'000'000'000;
  const auto hours = seconds / 3600;
  const auto minutes = seconds / 60 % 60;
  std::string text;
  if (hours > 0) text += std::to_string(hours) + "h";
  if (minutes > 0) text += std::to_string(minutes) + "m";
  if (seconds % 60 > 0) text += std::to_string(seconds % 60) + "s";
  return text;
}

std::string format_size_bytes(std::uint64_t bytes) {
  constexpr std::array<const char*, 6> names = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  if (bytes < 1024) return std::to_string(bytes) + " B";
  double value = static_cast<double>(bytes) / 1024;
  std::size_t unit = 0;
  while (value >= 1023.95 && unit + 1 < names.size()) {
    value /= 1024;
    ++unit;
  }
  char buffer[64];
  std::snprintf(buffer, sizeof buffer, "%.1f", value);
  std::string text = buffer;
  if (text.ends_with(".0")) text.resize(text.size() - 2);
  return text + " " + names[unit];
}

}  // namespace tempest
