#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "tempest/base/time.hpp"

namespace tempest {

/// The longest that a file or a command line may say: far beyond any use, and far below where
/// adding it to a time would overflow.
inline constexpr Duration kLongestDuration = std::chrono::hours(24 * 365);

/// "250ms", "30s", "1.5h": a number and one of ns us ms s m h d. Nothing else is a duration, a
/// bare number neither.
std::optional<Duration> parse_duration(std::string_view text);

/// "512", "64KiB", "10MB": a whole number and nothing, B, KB, MB, GB, KiB, MiB or GiB.
std::optional<std::uint64_t> parse_size_bytes(std::string_view text);

/// For people: "250ms", "1.5s", "2m30s".
std::string format_duration(Duration duration);

/// For people: "512 B", "1.5 MiB".
std::string format_size_bytes(std::uint64_t bytes);

}  // namespace tempest
