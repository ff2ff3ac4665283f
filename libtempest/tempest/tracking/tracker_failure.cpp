// What the tracker does when something fails or takes too long.

#include <algorithm>
#include <cmath>

#include "tempest/base/limits.hpp"
#include "tempest/base/quantity.hpp"
#include "tempest/tracking/tracker.hpp"

namespace tempest::tracking {

namespace {
// While what a task needs is away, its deliveries are tried again at first this often, then ever
// less: after a quarter of the time that it has been away.
constexpr Duration kFirstWaitWhileAway = std::chrono::milliseconds(500);
constexpr Duration kLongestWaitWhileAway = std::chrono::seconds(5);

using Next = wire::Sighting::Next;
}  // namespace

FailureRules failure_rules_of(const Topology& topology) {
  FailureRules rules;
  rules.policy = topology.failure.policy;
  rules.tree_timeout = topology.failure.timeout;
  rules.max_age = topology.failure.max_age;
  rules.max_attempts = topology.failure.max_attempts;
  rules.backoff = topology.failure.backoff;
  rules.on_error = topology.failure.on_error;
  rules.on_timeout = topology.failure.on_timeout;
  for (const TaskDefinition& task : topology.tasks) rules.sinks.push_back(task.uses == "sink");
  return rules;
}

FailureRule FailureRules::rule(wire::FailureKind kind) const {
  const bool is_timeout =
      kind == wire::FailureKind::timeout || kind == wire::FailureKind::task_timeout;
  const auto& own = is_timeout ? on_timeout : on_error;
  FailureRule rule = own ? *own : FailureRule{policy, max_attempts, backoff};
  rule.max_attempts = std::min(rule.max_attempts, kMaxAttempts);
  return rule;
}

Duration backoff_wait(const Backoff& backoff, std::uint32_t attempt, Random& random) {
  if (backoff.initial <= Duration::zero()) return Duration::zero();
  const double exponent = attempt < 2 ? 0.0 : static_cast<double>(attempt - 2);
  const double longest = static_cast<double>(backoff.max.count());
  const double grown =
      static_cast<double>(backoff.initial.count()) * std::pow(backoff.factor, exponent);
  const double wait = std::min(grown, longest) * (1.0 - backoff.jitter * random.fraction());
  // The largest durations round up to one that is too large to convert back.
  if (wait >= longest) return backoff.max;
  return Duration(static_cast<Duration::rep>(wait));
}

void Tracker::retry_or_give_up(std::uint32_t slot, wire::FailureKind kind, std::string worker,
                               const Failure& failure, TimePoint now) {
  Delivery& delivery = table_.at(slot);
  if (failure.is_away) {
    const Duration wait = wait_while_away(delivery.task, failure.retry_after, now);
    trace_failure(slot, {kind, failure.reason, Next::again, wait});
    delay(slot, wait, now);
    return;
  }
  const FailureRule rule = rules_.rule(kind);
  const bool may_retry = rule.policy == FailurePolicy::retry && !failure.permanent;
  if (may_retry && failure.retry_after > Duration::zero()) {
    // The task asked for a pause: not an attempt.
    trace_failure(slot, {kind, failure.reason, Next::again, failure.retry_after});
    delay(slot, failure.retry_after, now);
    return;
  }
  if (may_retry && delivery.attempt < rule.max_attempts) {
    ++delivery.attempt;
    const Duration wait = backoff_wait(rule.backoff, delivery.attempt, random_);
    trace_failure(slot, {kind, failure.reason, Next::again, wait});
    delay(slot, wait, now);
    return;
  }
  const bool goes_on = rule.policy == FailurePolicy::best_effort;
  trace_failure(slot, {kind, failure.reason, goes_on ? Next::go_on : Next::give_up, {}});
  give_up(slot, kind, std::move(worker), failure.reason, now);
}

Duration Tracker::wait_while_away(TaskId task, Duration wanted, TimePoint now) {
  TimePoint& since = away_since_[static_cast<std::size_t>(task)];
  if (since == kNever) since = now;
  const Duration least = std::max(wanted, kFirstWaitWhileAway);
  return std::clamp((now - since) / 4, least, std::max(least, kLongestWaitWhileAway));
}

void Tracker::trace_failure(std::uint32_t slot, const TraceBook::Failure& failure) {
  if (table_.at(slot).traced) traces_.failed(slot, table_.at(slot), failure);
}

void Tracker::delay(std::uint32_t slot, Duration wait, TimePoint now) {
  Delivery& delivery = table_.at(slot);
  std::uint16_t& retries = trees_.at(delivery.tree).retries;
  if (retries < UINT16_MAX) ++retries;
  ++count(delivery.task).retried;
  table_.renew(slot);
  const TimePoint due = wait < kNever - now ? now + wait : kNever;
  delivery.since = due;
  scheduler_.set_aside().delayed += scheduler_.size_bytes(delivery);
  table_.push_back(delayed_[due], slot, DeliveryState::delayed);
  ++delayed_count_;
}

void Tracker::take_from_delayed(std::uint32_t slot) {
  const auto due = delayed_.find(table_.at(slot).since);
  table_.remove(due->second, slot);
  if (due->second.empty()) delayed_.erase(due);
  --delayed_count_;
  scheduler_.set_aside().delayed -= scheduler_.size_bytes(table_.at(slot));
}

void Tracker::give_up(std::uint32_t slot, wire::FailureKind kind, std::string worker,
                      std::string_view reason, TimePoint now) {
  const Delivery& delivery = table_.at(slot);
  FailedMessage failed{{},
                       {},
                       kind,
                       delivery.task,
                       delivery.attempt,
                       std::move(worker),
                       std::string(reason.substr(0, kMaxReasonBytes)),
                       delivery.payload,
                       0};
  const std::uint32_t tree = delivery.tree;
  if (rules_.rule(kind).policy == FailurePolicy::best_effort) {
    // The rest of the tree goes on; the first failure is what is told at its end.
    const std::size_t bytes = failed.payload.size_bytes();
    if (tolerated_.emplace(tree, std::move(failed)).second) scheduler_.set_aside().held += bytes;
    finish_delivery(slot, now);
    return;
  }
  fail_tree(tree, std::move(failed));
}

void Tracker::turn(TimePoint now) {
  end_overworked();
  end_expired(now);
  while (!delayed_.empty() && delayed_.begin()->first <= now) {
    const std::uint32_t slot = delayed_.begin()->second.head;
    take_from_delayed(slot);
    if (table_.at(slot).traced) traces_.ready(slot, table_.at(slot));
    scheduler_.enqueue(slot);
  }
}

TimePoint Tracker::next_turn() const {
  TimePoint next = kNever;
  if (!delayed_.empty()) next = delayed_.begin()->first;
  if (!expiries_.empty()) next = std::min(next, expiries_.begin()->first);
  return next;
}

TimePoint Tracker::oldest_tree() const {
  if (oldest_ != kNowhere) return trees_.at(oldest_).started;
  return backlog_.empty() ? kNever : backlog_.oldest();
}

// --- What takes too long -------------------------------------------------------------------------

bool Tracker::note_extended(DeliveryId id, std::uint32_t worker) {
  const Delivery* delivery = table_.find(id);
  if (delivery == nullptr || delivery->state != DeliveryState::in_flight ||
      delivery->worker != worker) {
    return false;
  }
  ++count(delivery->task).extended;
  return true;
}

void Tracker::note_worked(DeliveryId id, std::uint32_t worker, Duration worked, TimePoint now) {
  const Delivery* delivery = table_.find(id);
  if (rules_.tree_timeout == Duration::zero() || delivery == nullptr ||
      delivery->state != DeliveryState::in_flight || delivery->worker != worker ||
      rules_.sinks[static_cast<std::size_t>(delivery->task)]) {
    return;
  }
  Worked& tree = worked_[delivery->tree];
  // Results come in the order of their ends, so what overlaps with an earlier one is counted once.
  const TimePoint began = std::max(now - worked, tree.until);
  if (began < now) tree.time += now - began;
  tree.until = now;
  if (tree.time >= rules_.tree_timeout) overworked_.push_back(trees_.id_of(delivery->tree));
}

bool Tracker::time_out(DeliveryId id, std::uint32_t worker, bool by_tree, std::string_view reason,
                       TimePoint now) {
  const Delivery* delivery = find_in_flight(id, worker);
  if (delivery == nullptr) return false;
  const TaskId task = delivery->task;
  ++count(task).failed;
  ++count(task).timed_out;
  std::string name = scheduler_.worker_name(worker);
  timed_out_.push_back({task, delivery->attempt, name, std::string(reason)});
  scheduler_.settle(id.slot);
  if (by_tree) {
    FailedMessage failed;
    failed.kind = wire::FailureKind::timeout;
    failed.task = task;
    failed.attempts = delivery->attempt;
    failed.payload = delivery->payload;
    failed.worker = std::move(name);
    failed.reason = reason.substr(0, kMaxReasonBytes);
    fail_tree(delivery->tree, std::move(failed));
    return true;
  }
  table_.at(id.slot).single = true;
  retry_or_give_up(id.slot, wire::FailureKind::task_timeout, std::move(name), {false, reason, {}},
                   now);
  return true;
}

void Tracker::end_overworked() {
  for (const TreeId tree : overworked_) {
    if (trees_.find(tree) == nullptr) continue;
    end_late(tree.slot, wire::FailureKind::timeout,
             "not done within " + format_duration(rules_.tree_timeout) + " of work on it");
  }
  overworked_.clear();
}

void Tracker::end_expired(TimePoint now) {
  while (!expiries_.empty() && expiries_.begin()->first <= now) {
    end_late(expiries_.begin()->second, wire::FailureKind::expired,
             "older than max_age (" + format_duration(rules_.max_age) + ")");
  }
}

void Tracker::end_late(std::uint32_t tree, wire::FailureKind kind, std::string_view limit) {
  const Delivery& waiting = table_.at(trees_.at(tree).deliveries);
  FailedMessage failed;
  failed.kind = kind;
  failed.task = waiting.task;
  failed.attempts = waiting.attempt;
  failed.payload = waiting.payload;
  failed.reason = std::string(limit) + ": " + describe_state(tree);
  if (waiting.state == DeliveryState::in_flight) {
    failed.worker = scheduler_.worker_name(waiting.worker);
  }
  ++count(waiting.task).timed_out;
  fail_tree(tree, std::move(failed));
}

std::string Tracker::describe_state(std::uint32_t tree) const {
  const Delivery& waiting = table_.at(trees_.at(tree).deliveries);
  switch (waiting.state) {
    case DeliveryState::ready:
      return scheduler_.workers_of(waiting.task) == 0 ? "no worker serves the task"
                                                      : "no worker of the task is free";
    case DeliveryState::in_flight:
      return "it is at a worker";
    case DeliveryState::delayed:
      return "it waits for its next attempt";
    case DeliveryState::held:
      return "it is held until its ancestors are done";
    case DeliveryState::detached:
    case DeliveryState::member:
    case DeliveryState::orphan:
      break;
  }
  return "it is under way";
}

}  // namespace tempest::tracking
