#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "cli/dead_letter_store.hpp"
#include "tempest/base/result.hpp"

namespace tempest::cli {

/// What is about to be done to letters, for people.
struct LetterWish {
  const std::string& program;  ///< "tempest dlq rm".
  const char* verb;            ///< "remove".
  const LetterFilter& filter;
  std::uint64_t limit = 0;  ///< 0: all.
  bool force = false;       ///< Nobody is asked.
};

/// Counts the letters that a verb is about to take and says how many they are, and of how many. On
/// a terminal it asks first where a filter lets through all there are, which is most likely not
/// what was meant; ids that were named are. Returns an exit code if it is not to be done.
Result<std::optional<int>> announce(LetterStore& store, const LetterWish& wish);

}  // namespace tempest::cli
