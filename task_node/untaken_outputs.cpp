#include "task_node/untaken_outputs.hpp"

#include <algorithm>
#include <utility>

namespace tempest::task_node {
namespace {

constexpr std::size_t kMostNames = 16;
constexpr std::size_t kMostShown = 4;
constexpr std::string_view kOthers = "*";

std::string way(const std::pair<std::string, std::string>& pair) {
  return pair.first + (pair.second.empty() ? "" : ":" + pair.second);
}

/// 1, 10, 100, ...: the largest that is not above it; 0 of 0.
std::uint64_t first_digit_only(std::uint64_t count) {
  if (count == 0) return 0;
  std::uint64_t power = 1;
  while (count / 10 >= power) power *= 10;
  return power;
}

std::string described(const std::string& output) {
  return output.empty() ? "messages without a name" : "an output \"" + output + "\"";
}

}  // namespace

void note_untaken(std::vector<UntakenOutput>& untaken, TaskId task, std::string_view output) {
  const auto find = [&](std::string_view name) {
    return std::find_if(untaken.begin(), untaken.end(), [&](const UntakenOutput& other) {
      return other.task == task && other.output == name;
    });
  };
  auto found = find(output);
  if (found == untaken.end() && untaken.size() >= kMostNames) {
    output = kOthers;
    found = find(output);
  }
  if (found == untaken.end()) {
    found = untaken.insert(untaken.end(), {task, std::string(output), 0});
  }
  ++found->count;
}

bool UntakenOutputs::add(std::string_view task, const UntakenOutput& untaken,
                         link::Effects& effects) {
  std::pair<std::string, std::string> key(task, untaken.output);
  auto found = counts_.find(key);
  if (found == counts_.end() && counts_.size() >= kMostPairs) {
    key.second = kOthers;
    found = counts_.find(key);
  }
  const bool is_new = found == counts_.end();
  if (is_new) {
    found = counts_.emplace(key, 0).first;
    effects.notify(
        link::Notice::Level::warning,
        "task " + key.first + " emits " + described(key.second) +
            " that no edge takes: these messages end there, and count as done; take them "
            "with after = [\"" +
            way(key) + "\"]",
        {{"task", key.first}, {"output", key.second}});
  }
  const std::uint64_t before = std::exchange(found->second, found->second + untaken.count);
  return is_new || first_digit_only(before) != first_digit_only(found->second);
}

std::string UntakenOutputs::shown() const {
  std::string text;
  std::size_t shown = 0;
  for (const auto& [pair, count] : counts_) {
    if (shown++ == kMostShown) {
      return text + ", and " + std::to_string(counts_.size() - kMostShown) + " more";
    }
    text += (text.empty() ? "nobody takes " : ", ") + way(pair) + " (" +
            std::to_string(first_digit_only(count)) + (count > 1 ? " and more)" : ")");
  }
  return text;
}

void UntakenOutputs::report(wire::StatsBuilder& stats) const {
  for (const auto& [pair, count] : counts_) {
    stats.for_task(pair.first);
    stats.counter("tempest_task_outputs_untaken_total", "output", pair.second, count);
  }
}

}  // namespace tempest::task_node
