#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tempest/runtime/redis.hpp"

/// The fields of a stream's entry as one JSON text, from which the very same fields can be made
/// again: an object of texts, in their order. Bytes that are not UTF-8 are {"base64": "..."} in
/// place of a text. Where a name comes twice or is not UTF-8, a list of [name, value] in place of
/// the object.
namespace tempest::builtin {

/// Appends the text for `fields` (names and values in turn), but for those called `without`. Takes
/// time in proportion to its size.
void append_entry_json(runtime::RedisValue fields, std::string_view without, std::string& text);

/// Names and values in turn; nothing if `text` is not what append_entry_json() makes.
std::optional<std::vector<std::string>> fields_of_entry_json(std::string_view text);

}  // namespace tempest::builtin
