#include "tempest/base/spelling.hpp"

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

namespace tempest {
namespace {

// Optimal string alignment: insertions, deletions, substitutions and swaps of neighbours, each one
// edit. Three rows of the usual matrix are enough.
std::size_t edit_distance(std::string_view from, std::string_view to) {
  std::vector<std::size_t> two_back(to.size() + 1);
  std::vector<std::size_t> previous(to.size() + 1);
  std::vector<std::size_t> current(to.size() + 1);
  for (std::size_t j = 0; j <= to.size(); ++j) previous[j] = j;
  for (std::size_t i = 1; i <= from.size(); ++i) {
    current[0] = i;
    for (std::size_t j = 1; j <= to.size(); ++j) {
      const std::size_t changed = from[i - 1] == to[j - 1] ? 0 : 1;
      current[j] = std::min({previous[j] + 1, current[j - 1] + 1, previous[j - 1] + changed});
      if (i > 1 && j > 1 && from[i - 1] == to[j - 2] && from[i - 2] == to[j - 1]) {
        current[j] = std::min(current[j], two_back[j - 2] + 1);
      }
    }
    std::swap(two_back, previous);
    std::swap(previous, current);
  }
  return previous[to.size()];
}

}  // namespace

std::optional<std::string> nearest_name(std::string_view word,
                                        std::span<const std::string> candidates) {
  if (word.empty()) return std::nullopt;
  const std::size_t most = std::min(std::max<std::size_t>(1, word.size() / 3), word.size() - 1);
  std::optional<std::string> nearest;
  std::size_t best = most + 1;
  for (const std::string& candidate : candidates) {
    const std::size_t lengths_apart = candidate.size() > word.size()
                                          ? candidate.size() - word.size()
                                          : word.size() - candidate.size();
    if (lengths_apart >= best) continue;
    const std::size_t distance = edit_distance(word, candidate);
    if (distance >= best) continue;
    best = distance;
    nearest = candidate;
  }
  return nearest;
}

}  // namespace tempest
