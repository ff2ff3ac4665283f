#include "cli/trace_view.hpp"

#include <algorithm>
#include <utility>

namespace tempest::cli {
namespace {

using Kind = wire::Sighting::Kind;

/// What is said of a message that nobody says to have read is soon forgotten.
constexpr Duration kUnreadFor = std::chrono::seconds(5);

bool is_end(Kind kind) {
  return kind == Kind::acked || kind == Kind::left;
}

bool is_trouble(Kind kind) {
  switch (kind) {
    case Kind::taken_back:
    case Kind::failed:
    case Kind::dead_letter:
    case Kind::left:
    case Kind::error:
    case Kind::task_timeout:
    case Kind::worker_lost:
    case Kind::returned:
    case Kind::tree_failed:
      return true;
    default:
      return false;
  }
}

}  // namespace

bool TracedMessage::has_trouble() const {
  return std::any_of(steps.begin(), steps.end(),
                     [](const TraceStep& step) { return is_trouble(step.sighting.kind); });
}

void TraceView::take(wire::Sightings sightings, TimePoint now) {
  for (wire::Sighting& sighting : sightings.sightings) take(sightings, std::move(sighting), now);
}

void TraceView::take(const wire::Sightings& said, wire::Sighting sighting, TimePoint now) {
  auto found = messages_.find(sighting.message);
  const bool is_read = sighting.kind == Kind::read;
  if (is_read && most_ > 0 && begun_ == most_) {
    if (found != messages_.end()) messages_.erase(found);
    return;
  }
  if (found == messages_.end()) {
    if (messages_.size() >= kMaxOpen || (!is_read && most_ > 0 && begun_ == most_)) return;
    found = messages_.emplace(sighting.message, TracedMessage{}).first;
    found->second.first_heard_at = now;
  }
  TracedMessage& message = found->second;
  message.last_heard_at = now;
  if (is_read) {
    message.number = ++begun_;
    message.source = said.node;
    message.read = std::move(sighting);
    return;
  }
  message.ended = message.ended || is_end(sighting.kind);
  if (message.steps.size() < kMaxSteps) {
    message.steps.push_back({said.node, said.role, std::move(sighting), now});
  }
}

std::vector<TracedMessage> TraceView::take_ended(TimePoint now, Duration quiet) {
  std::vector<TracedMessage> ended;
  for (auto entry = messages_.begin(); entry != messages_.end();) {
    TracedMessage& message = entry->second;
    const bool is_over =
        message.ended && message.number > 0 && now - message.last_heard_at >= quiet;
    const bool is_unread = message.number == 0 && now - message.first_heard_at >= kUnreadFor;
    if (is_over) ended.push_back(std::move(message));
    entry = is_over || is_unread ? messages_.erase(entry) : std::next(entry);
  }
  std::sort(ended.begin(), ended.end(),
            [](const auto& left, const auto& right) { return left.number < right.number; });
  return ended;
}

std::vector<TracedMessage> TraceView::take_rest() {
  std::vector<TracedMessage> rest;
  for (auto& [number, message] : messages_) {
    if (message.number > 0) rest.push_back(std::move(message));
  }
  messages_.clear();
  std::sort(rest.begin(), rest.end(),
            [](const auto& left, const auto& right) { return left.number < right.number; });
  return rest;
}

std::vector<std::pair<std::uint64_t, const TraceStep*>> in_order(const TracedMessage& message) {
  // When it was sent to each coordinator, and how many of these trees have ended.
  std::map<std::string, std::pair<std::vector<std::uint64_t>, std::size_t>> trees;
  for (const TraceStep& step : message.steps) {
    if (step.sighting.kind == Kind::sent) {
      trees[step.sighting.peer].first.push_back(step.sighting.at_us);
    }
  }
  std::vector<std::pair<std::uint64_t, const TraceStep*>> steps;
  for (const TraceStep& step : message.steps) {
    std::uint64_t at_us = step.sighting.at_us;
    if (step.role == Role::pipeline) {
      auto& [sent, ended] = trees[step.node];
      if (!sent.empty()) at_us += sent[std::min(ended, sent.size() - 1)];
      if (step.sighting.kind == Kind::tree_done || step.sighting.kind == Kind::tree_failed) ++ended;
    }
    steps.emplace_back(at_us, &step);
  }
  std::stable_sort(steps.begin(), steps.end(),
                   [](const auto& left, const auto& right) { return left.first < right.first; });
  return steps;
}

}  // namespace tempest::cli
