#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace tempest {

/// The candidate that somebody who wrote `word` most likely meant, or none if nothing is near:
/// within a third of the word's length in edits (Damerau-Levenshtein, restricted), at least one,
/// but fewer than it has letters, since a word of which every letter changes resembles nothing.
/// The first of equals wins.
std::optional<std::string> nearest_name(std::string_view word,
                                        std::span<const std::string> candidates);

}  // namespace tempest
