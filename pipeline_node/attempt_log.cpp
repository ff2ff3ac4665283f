#include "pipeline_node/attempt_log.hpp"

namespace tempest::pipeline_node {
namespace {

using Level = link::Notice::Level;

constexpr Duration kTellEvery = std::chrono::seconds(10);
constexpr std::size_t kMostKindBytes = 160;
constexpr std::string_view kOthers = "(other reasons)";

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

/// The reason with each number as '#', and cut.
std::string shape_of(std::string_view reason) {
  std::string shape;
  for (std::size_t i = 0; i < reason.size() && shape.size() < kMostKindBytes; ++i) {
    if (!is_digit(reason[i])) {
      shape += reason[i];
    } else if (shape.empty() || shape.back() != '#') {
      shape += '#';
    }
  }
  return shape;
}

}  // namespace

void AttemptLog::add(const Attempt& attempt, const dag::Graph& graph, TimePoint now,
                     std::vector<link::Notice>& notices) {
  std::pair<TaskId, std::string> key(attempt.task, shape_of(attempt.reason));
  auto found = kinds_.find(key);
  if (found == kinds_.end() && kinds_of_task_[attempt.task] >= kMostKinds) {
    key.second = kOthers;
    found = kinds_.find(key);
  }
  const bool is_first = found == kinds_.end();
  if (is_first) {
    found = kinds_.emplace(key, Kind{}).first;
    ++kinds_of_task_[attempt.task];
  }
  Kind& kind = found->second;
  notices.push_back({is_first ? Level::info : Level::debug,
                     "an attempt failed: " + std::string(attempt.reason),
                     {{"task", graph.node(attempt.task).name},
                      {"worker", std::string(attempt.worker)},
                      {"attempt", attempt.number}}});
  if (is_first) return;
  ++kind.untold;
  kind.last_reason = attempt.reason;
  kind.last_worker = attempt.worker;
  if (tell_at_ == kNever) tell_at_ = now + kTellEvery;
}

void AttemptLog::turn(TimePoint now, const dag::Graph& graph, std::vector<link::Notice>& notices) {
  if (now >= tell_at_) tell(graph, notices);
}

void AttemptLog::finish(const dag::Graph& graph, std::vector<link::Notice>& notices) {
  if (tell_at_ != kNever) tell(graph, notices);
}

void AttemptLog::tell(const dag::Graph& graph, std::vector<link::Notice>& notices) {
  tell_at_ = kNever;
  for (auto& [key, kind] : kinds_) {
    if (kind.untold == 0) continue;
    notices.push_back({Level::info,
                       "more attempts failed; the last: " + kind.last_reason,
                       {{"task", graph.node(key.first).name},
                        {"worker", kind.last_worker},
                        {"attempts", std::exchange(kind.untold, 0)}}});
  }
}

}  // namespace tempest::pipeline_node
