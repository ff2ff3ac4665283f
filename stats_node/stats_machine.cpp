#include "stats_node/stats_machine.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

namespace tempest::stats_node {
namespace {

/// How many former lives of a node are remembered.
constexpr std::size_t kMaxFinished = 16;
/// How many series a topology's base may have, whatever its former nodes have come up with.
constexpr std::size_t kMaxBaseSeries = 65'536;
/// The largest number that means anything: whole ones are exact up to here.
constexpr double kMostCounted = 9'007'199'254'740'992.0;

bool is_metric_name(std::string_view name) {
  const auto is_letter = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
  };
  if (name.empty() || !is_letter(name.front())) return false;
  return std::all_of(name.begin(), name.end(),
                     [&](char c) { return is_letter(c) || (c >= '0' && c <= '9'); });
}

/// False if any of it could not be a metric. "le" is a histogram's own; the others are added here.
bool read_series(const std::string& name, const std::vector<wire::StatsReport::Label>& labels,
                 Series& series) {
  if (!is_metric_name(name)) return false;
  series.name = name;
  for (const auto& label : labels) {
    const bool taken = label.name == "topology" || label.name == "node" || label.name == "role" ||
                       label.name == "le";
    if (taken || !is_metric_name(label.name)) return false;
    series.labels.emplace_back(label.name, label.value);
  }
  std::sort(series.labels.begin(), series.labels.end());
  return true;
}

/// What was recorded after `before`, which is an earlier state of the same histogram.
Histogram difference(const Histogram& after, const Histogram& before) {
  std::array<std::uint64_t, Histogram::kBuckets> buckets{};
  for (std::size_t i = 0; i < buckets.size(); ++i) {
    buckets[i] = after.buckets()[i] - std::min(after.buckets()[i], before.buckets()[i]);
  }
  Histogram result;
  result.assign(buckets, after.sum_ns() - std::min(after.sum_ns(), before.sum_ns()));
  return result;
}

/// Null if it would be one too many.
template <typename Value>
Value* place_for(const Series& series, std::map<Series, Value>& map) {
  const auto found = map.find(series);
  if (found != map.end()) return &found->second;
  return map.size() < kMaxBaseSeries ? &map[series] : nullptr;
}

}  // namespace

void StatsMachine::take(const wire::StatsReport& report, TimePoint now) {
  const NodeKey key{report.topology, report.role, report.node};
  auto found = nodes_.find(key);
  if (found == nodes_.end()) {
    if (nodes_.size() >= limits_.nodes && !make_room(now)) {
      ++counters_.refused;
      return;
    }
    found = nodes_.try_emplace(key).first;
    ++bases_[key.topology].nodes;
  } else {
    Node& node = found->second;
    const bool same = node.latest.incarnation == report.incarnation;
    const bool former = std::find(node.finished.begin(), node.finished.end(), report.incarnation) !=
                        node.finished.end();
    if (former || (same && report.uptime_ms <= node.latest.uptime_ms)) {
      ++counters_.repeated;
      return;
    }
    if (same) {
      node.previous = std::move(node.latest);
    } else {
      fold(node.latest, bases_[key.topology]);
      node.finished.push_back(node.latest.incarnation);
      if (node.finished.size() > kMaxFinished) node.finished.erase(node.finished.begin());
      node.previous = {};
    }
  }
  ++counters_.reports;
  Node& node = found->second;
  node.heard_at = now;
  // `latest` was moved to `previous`, or folded: it gives its room back.
  const std::size_t before = node.series;
  const std::size_t room = limits_.series - std::min(limits_.series, series_ - before);
  node.latest = read(report, std::min(limits_.series_per_node, room));
  node.series = node.latest.size();
  series_ += node.series;
  series_ -= before;
}

/// Gives up the record of the node that has been silent for longest, if any is.
bool StatsMachine::make_room(TimePoint now) {
  const auto oldest = std::min_element(
      nodes_.begin(), nodes_.end(),
      [](const auto& a, const auto& b) { return a.second.heard_at < b.second.heard_at; });
  if (oldest == nodes_.end() || is_live(oldest->second, now)) return false;
  const auto base = bases_.find(oldest->first.topology);
  if (--base->second.nodes == 0) {
    bases_.erase(base);
  } else {
    fold(oldest->second.latest, base->second);
  }
  series_ -= oldest->second.series;
  nodes_.erase(oldest);
  return true;
}

StatsMachine::Report StatsMachine::read(const wire::StatsReport& report, std::size_t room) {
  Report result;
  result.incarnation = report.incarnation;
  result.uptime_ms = report.uptime_ms;
  for (const auto& number : report.numbers) {
    Series series;
    const bool sound =
        std::abs(number.value) <= kMostCounted && !(number.is_counter && number.value < 0);
    if (room == 0 || !sound || !read_series(number.name, number.labels, series)) {
      ++result.left_out;
      continue;
    }
    --room;
    result.numbers[std::move(series)] = {number.value, 0, number.is_counter};
  }
  for (const auto& distribution : report.distributions) {
    Series series;
    if (room == 0 || !read_series(distribution.name, distribution.labels, series)) {
      ++result.left_out;
      continue;
    }
    --room;
    result.distributions[std::move(series)] = distribution.histogram;
  }
  counters_.dropped_series += result.left_out;
  return result;
}

void StatsMachine::fold(const Report& report, Base& base) {
  for (const auto& [series, number] : report.numbers) {
    if (!number.is_counter) continue;
    double* const sum = place_for(series, base.counters);
    sum == nullptr ? void(++base.left_out) : void(*sum += number.value);
  }
  for (const auto& [series, histogram] : report.distributions) {
    Histogram* const sum = place_for(series, base.distributions);
    sum == nullptr ? void(++base.left_out) : sum->merge(histogram);
  }
}

std::map<std::string, Aggregate> StatsMachine::aggregate(TimePoint now) const {
  std::map<std::string, Aggregate> result;
  for (const auto& [key, node] : nodes_) {
    if (is_live(node, now)) add_live(key, node, result[key.topology]);
  }
  for (const auto& [key, node] : nodes_) {
    const auto found = result.find(key.topology);
    if (found != result.end()) add_totals(node.latest, found->second);
  }
  for (auto& [topology, aggregate] : result) add_base(bases_.at(topology), aggregate);
  return result;
}

/// What only live nodes have: gauges and rates.
void StatsMachine::add_live(const NodeKey& key, const Node& node, Aggregate& aggregate) {
  const Report& latest = node.latest;
  aggregate.nodes.push_back({key.name, key.role, latest.incarnation, latest.uptime_ms});
  aggregate.left_out += latest.left_out;
  std::set<std::string> tasks;
  double threads = 0;
  const bool has_rate = node.previous.uptime_ms > 0;
  const double seconds = static_cast<double>(latest.uptime_ms - node.previous.uptime_ms) / 1000.0;
  for (const auto& [series, number] : latest.numbers) {
    if (key.role == Role::task) tasks.emplace(series.label("task"));
    if (series.name == "tempest_handler_threads") threads += number.value;
    Aggregate::Number& sum = aggregate.numbers[series];
    sum.is_counter = number.is_counter;
    if (!number.is_counter) {
      sum.value += number.value;
      continue;
    }
    if (!has_rate) continue;
    const auto before = node.previous.numbers.find(series);
    const double old = before == node.previous.numbers.end() ? 0 : before->second.value;
    sum.per_second += std::max(0.0, number.value - old) / seconds;
  }
  tasks.erase(std::string{});
  for (const std::string& task : tasks) aggregate.threads_by_task[task] += threads;
  if (!has_rate) return;
  for (const auto& [series, histogram] : latest.distributions) {
    const auto before = node.previous.distributions.find(series);
    const Histogram recent = before == node.previous.distributions.end()
                                 ? histogram
                                 : difference(histogram, before->second);
    Aggregate::Distribution& sum = aggregate.distributions[series];
    sum.recent.merge(recent);
    sum.seconds_per_second += static_cast<double>(recent.sum_ns()) / 1e9 / seconds;
  }
}

/// What counts of a node whether it is live or silent.
void StatsMachine::add_totals(const Report& report, Aggregate& aggregate) {
  for (const auto& [series, number] : report.numbers) {
    if (number.is_counter) aggregate.numbers[series].value += number.value;
  }
  for (const auto& [series, histogram] : report.distributions) {
    aggregate.distributions[series].all.merge(histogram);
  }
}

void StatsMachine::add_base(const Base& base, Aggregate& aggregate) {
  aggregate.left_out += base.left_out;
  for (const auto& [series, value] : base.counters) aggregate.numbers[series].value += value;
  for (const auto& [series, histogram] : base.distributions) {
    aggregate.distributions[series].all.merge(histogram);
  }
}

std::vector<std::pair<const StatsMachine::NodeKey*, const StatsMachine::Report*>>
StatsMachine::live_nodes(TimePoint now) const {
  std::vector<std::pair<const NodeKey*, const Report*>> live;
  for (const auto& [key, node] : nodes_) {
    if (is_live(node, now)) live.emplace_back(&key, &node.latest);
  }
  return live;
}

}  // namespace tempest::stats_node
