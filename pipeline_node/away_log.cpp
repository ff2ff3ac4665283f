#include "pipeline_node/away_log.hpp"

#include <algorithm>

#include "tempest/base/quantity.hpp"

namespace tempest::pipeline_node {

namespace {

using Level = link::Notice::Level;

/// Workers come and go: what is more than this is counted and not said.
constexpr std::size_t kMostEntries = 256;

}  // namespace

void AwayLog::waits(TaskId task, const std::string& worker, std::string_view cause, TimePoint now,
                    const dag::Graph& graph, std::vector<link::Notice>& notices) {
  ++waits_[task];
  const Key key(task, worker);
  auto entry = entries_.find(key);
  if (entry != entries_.end()) {
    ++entry->second.waits;
    entry->second.works_since = kNever;
    if (entry->second.cause != cause) {
      entry->second.cause = cause;
      has_changed_ = true;
    }
    return;
  }
  if (entries_.size() >= kMostEntries) return;
  entries_[key] = {now, kNever, 1, std::string(cause)};
  has_changed_ = true;
  notices.push_back({Level::warning,
                     "task '" + graph.node(task).name +
                         "' cannot reach what it needs; its messages wait, and cost no attempts: " +
                         std::string(cause),
                     {{"task", graph.node(task).name}, {"worker", worker}}});
}

void AwayLog::note_work(TaskId task, const std::string& worker, TimePoint now) {
  const auto entry = entries_.find({task, worker});
  if (entry != entries_.end() && entry->second.works_since == kNever) {
    entry->second.works_since = now;
  }
}

void AwayLog::forget(const std::string& worker) {
  const auto is_of_worker = [&](const auto& entry) { return entry.first.second == worker; };
  if (std::erase_if(entries_, is_of_worker) > 0) has_changed_ = true;
}

bool AwayLog::turn(TimePoint now, const dag::Graph& graph, std::vector<link::Notice>& notices) {
  for (auto entry = entries_.begin(); entry != entries_.end();) {
    const Entry& one = entry->second;
    if (one.works_since == kNever || now - one.works_since < kSteady) {
      ++entry;
      continue;
    }
    const std::string& task = graph.node(entry->first.first).name;
    notices.push_back({Level::info,
                       "task '" + task + "' reaches what it needs again, after " +
                           format_duration(std::chrono::duration_cast<std::chrono::milliseconds>(
                               one.works_since - one.since)),
                       {{"task", task}, {"worker", entry->first.second}, {"waits", one.waits}}});
    entry = entries_.erase(entry);
    has_changed_ = true;
  }
  return std::exchange(has_changed_, false);
}

TimePoint AwayLog::next_turn() const {
  TimePoint next = kNever;
  for (const auto& [key, entry] : entries_) {
    if (entry.works_since != kNever) next = std::min(next, entry.works_since + kSteady);
  }
  return next;
}

std::string AwayLog::describe(const dag::Graph& graph) const {
  if (entries_.empty()) return {};
  const auto& [key, entry] = *entries_.begin();
  return "task '" + graph.node(key.first).name + "' cannot reach what it needs at worker " +
         key.second + ": " + entry.cause;
}

void AwayLog::report(const dag::Graph& graph, wire::StatsBuilder& stats) const {
  std::map<TaskId, std::size_t> away;
  for (const auto& [key, entry] : entries_) ++away[key.first];
  for (const auto& [task, waits] : waits_) {
    stats.for_task(graph.node(task).name);
    stats.counter("tempest_deliveries_waited_total", waits);
    stats.gauge("tempest_task_away", away.contains(task) ? 1.0 : 0.0);
  }
}

}  // namespace tempest::pipeline_node
