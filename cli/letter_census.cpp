#include "cli/letter_census.hpp"

#include <unistd.h>

#include <algorithm>
#include <iostream>

#include "cli/dead_letter_options.hpp"
#include "tempest/runtime/exit_code.hpp"

namespace tempest::cli {
namespace {

struct Census {
  std::uint64_t all = 0;
  std::uint64_t matched = 0;
};

Result<Census> count(LetterStore& store, const LetterFilter& filter) {
  Census census;
  LetterReader reader(store, {}, 0);
  const auto read = reader.for_each([&](const StoredLetter& letter) -> Result<void> {
    ++census.all;
    census.matched += filter.matches(letter) ? 1 : 0;
    return {};
  });
  store.rewind();
  if (!read) return read.error();
  return census;
}

bool is_terminal() {
  return ::isatty(STDIN_FILENO) != 0 && ::isatty(STDERR_FILENO) != 0;
}

bool says_yes() {
  std::string answer;
  std::getline(std::cin, answer);
  return answer == "y" || answer == "Y" || answer == "yes";
}

}  // namespace

Result<std::optional<int>> announce(LetterStore& store, const LetterWish& wish) {
  const auto census = count(store, wish.filter);
  if (!census) return census.error();
  const std::uint64_t taken =
      wish.limit == 0 ? census->matched : std::min(census->matched, wish.limit);
  const std::string these = std::to_string(taken) + " of " + letters(census->all);
  std::cerr << wish.program << ": about to " << wish.verb << " " << these << " in " << store.shown()
            << std::endl;
  const bool takes_all = taken > 0 && taken == census->all && wish.filter.ids.empty();
  if (!takes_all || wish.force || !is_terminal()) return std::optional<int>();
  std::cerr << "These are all there are. " << wish.verb << " them? [y/N] " << std::flush;
  if (says_yes()) return std::optional<int>();
  std::cerr << wish.program << ": nothing was done\n";
  return std::optional<int>(runtime::kExitCheckFailed);
}

}  // namespace tempest::cli
