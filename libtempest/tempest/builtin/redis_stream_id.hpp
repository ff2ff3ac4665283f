#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "tempest/source.hpp"

/// The id of a stream's entry ("1700000000000-0") as a token: its two numbers.
namespace tempest::builtin {

/// Of an id as text: two numbers of 20 digits and a dash.
inline constexpr std::size_t kMaxStreamIdBytes = 41;

/// Writes up to kMaxStreamIdBytes; how many.
std::size_t write_stream_id(const SourceToken& token, char* text);
std::string stream_id(const SourceToken& token);
std::optional<SourceToken> parse_stream_id(std::string_view text);
/// The smallest id after this one.
SourceToken next_stream_id(SourceToken token);

}  // namespace tempest::builtin
