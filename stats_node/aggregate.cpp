#include "stats_node/aggregate.hpp"

#include <algorithm>

namespace tempest::stats_node {
namespace {

/// Calls visit(series, entry) for each series of this name.
template <typename Map, typename Visit>
void for_each_of(const Map& map, std::string_view name, Visit visit) {
  for (auto entry = map.lower_bound(Series{std::string(name), {}});
       entry != map.end() && entry->first.name == name; ++entry) {
    visit(entry->first, entry->second);
  }
}

void add(const Aggregate::Number& from, Aggregate::Number& to) {
  to.value += from.value;
  to.per_second += from.per_second;
  to.is_counter = from.is_counter;
}

void add(const Aggregate::Distribution& from, Aggregate::Distribution& to) {
  to.all.merge(from.all);
  to.recent.merge(from.recent);
  to.seconds_per_second += from.seconds_per_second;
}

}  // namespace

std::string_view Series::label(std::string_view label_name) const {
  const auto found = std::find_if(labels.begin(), labels.end(),
                                  [&](const auto& entry) { return entry.first == label_name; });
  return found == labels.end() ? std::string_view{} : std::string_view{found->second};
}

Aggregate::Number Aggregate::total(std::string_view name) const {
  Number sum;
  for_each_of(numbers, name, [&](const Series&, const Number& number) { add(number, sum); });
  return sum;
}

Aggregate::Number Aggregate::total(std::string_view name, std::string_view label,
                                   std::string_view value) const {
  Number sum;
  for_each_of(numbers, name, [&](const Series& series, const Number& number) {
    if (series.label(label) == value) add(number, sum);
  });
  return sum;
}

Aggregate::Distribution Aggregate::merged(std::string_view name) const {
  Distribution sum;
  for_each_of(distributions, name,
              [&](const Series&, const Distribution& distribution) { add(distribution, sum); });
  return sum;
}

Aggregate::Distribution Aggregate::merged(std::string_view name, std::string_view label,
                                          std::string_view value) const {
  Distribution sum;
  for_each_of(distributions, name, [&](const Series& series, const Distribution& distribution) {
    if (series.label(label) == value) add(distribution, sum);
  });
  return sum;
}

std::map<std::string, Aggregate> Aggregate::by_task() const {
  std::map<std::string, Aggregate> tasks;
  for (const auto& [series, number] : numbers) {
    const std::string_view task = series.label("task");
    if (!task.empty()) tasks[std::string(task)].numbers.emplace(series, number);
  }
  for (const auto& [series, distribution] : distributions) {
    const std::string_view task = series.label("task");
    if (!task.empty()) tasks[std::string(task)].distributions.emplace(series, distribution);
  }
  for (auto& [task, aggregate] : tasks) {
    const auto threads = threads_by_task.find(task);
    if (threads != threads_by_task.end()) aggregate.threads_by_task.insert(*threads);
  }
  return tasks;
}

}  // namespace tempest::stats_node
