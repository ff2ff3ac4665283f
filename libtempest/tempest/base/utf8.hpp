#pragma once

#include <cstddef>
#include <string_view>

namespace tempest {

/// Returns how many bytes the character at `at` (below the size) has; 0: none that UTF-8 knows.
std::size_t utf8_character_size(std::string_view bytes, std::size_t at);

bool is_utf8(std::string_view bytes);

/// True for text that may name a node, a topology or a metric's label: UTF-8 of at most
/// kMaxNameBytes, without control characters. An empty one is.
bool is_name(std::string_view bytes);

}  // namespace tempest
