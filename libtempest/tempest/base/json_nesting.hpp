#pragma once

#include <cstddef>
#include <string_view>

namespace tempest {

/// How deep the objects and lists of JSON that others wrote may be nested: whatever walks through
/// them calls itself for each level.
inline constexpr std::size_t kMaxJsonNesting = 64;

/// True if `json` opens more than `most` objects and lists within each other. Of what is no JSON,
/// the brackets outside of quotes are counted.
bool nests_deeper(std::string_view json, std::size_t most = kMaxJsonNesting);

}  // namespace tempest
