// What the tracker does when something fails or takes too long.

#include <algorithm>
#include <cmath>

#include "tempest/base/limits.hpp"
#include "tempest/base/quantity.hpp"
#include "tempest/tracking/tracker.hpp"

namespace tempest::tracking {

namespace {
// Deliveries' timeouts are looked at this often: they may end this much late.
constexpr Duration kDeliveryTimeoutStep = std::chrono::milliseconds(20);

using Next = wire::Sighting::Next;
}  // namespace

FailureRules failure_rules_of(const Topology& topology) {
  FailureRules rules;
  rules.policy = topology.failure.policy;
  rules.tree_timeout = topology.failure.timeout;
  rules.max_attempts = topology.failure.max_attempts;
  rules.backoff = topology.failure.backoff;
  rules.on_error = topology.failure.on_error;
  rules.on_timeout = topology.failure.on_timeout;
  for (const TaskDefinition& task : topology.tasks) rules.task_timeouts.push_back(task.timeout);
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
  table_.push_back(delayed_[due], slot, DeliveryState::delayed);
  ++delayed_count_;
}

void Tracker::take_from_delayed(std::uint32_t slot) {
  const auto due = delayed_.find(table_.at(slot).since);
  table_.remove(due->second, slot);
  if (due->second.empty()) delayed_.erase(due);
  --delayed_count_;
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
    tolerated_.emplace(tree, std::move(failed));
    finish_delivery(slot, now);
    return;
  }
  fail_tree(tree, std::move(failed));
}

void Tracker::turn(TimePoint now) {
  time_out_trees(now);
  time_out_deliveries(now);
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
  if (trees_in_flight() == 0) return next;
  if (rules_.tree_timeout > Duration::zero()) {
    next = std::min(next, oldest_tree() + rules_.tree_timeout);
  }
  if (shortest_task_timeout_ > Duration::zero()) next = std::min(next, look_at_deliveries_);
  return next;
}

TimePoint Tracker::oldest_tree() const {
  if (oldest_ != kNowhere) return trees_.at(oldest_).started;
  return backlog_.empty() ? kNever : backlog_.oldest();
}

void Tracker::time_out_trees(TimePoint now) {
  if (rules_.tree_timeout == Duration::zero()) return;
  while (trees_in_flight() > 0 && oldest_tree() + rules_.tree_timeout <= now) {
    // What waits in the backlog came after all that has a tree.
    if (oldest_ == kNowhere) begin_first_of_backlog();
    const std::uint32_t tree = oldest_;
    const Delivery& waiting = table_.at(trees_.at(tree).deliveries);
    FailedMessage failed;
    failed.kind = wire::FailureKind::timeout;
    failed.task = waiting.task;
    failed.attempts = waiting.attempt;
    failed.payload = waiting.payload;
    failed.reason = describe_wait(tree);
    if (waiting.state == DeliveryState::in_flight) {
      failed.worker = scheduler_.worker_name(waiting.worker);
    }
    ++count(waiting.task).timed_out;
    fail_tree(tree, std::move(failed));
  }
}

std::string Tracker::describe_wait(std::uint32_t tree) const {
  const Delivery& waiting = table_.at(trees_.at(tree).deliveries);
  std::string text = "not done within " + format_duration(rules_.tree_timeout) + ": ";
  switch (waiting.state) {
    case DeliveryState::ready:
      return text + (scheduler_.workers_of(waiting.task) == 0 ? "no worker serves the task"
                                                              : "no worker of the task is free");
    case DeliveryState::in_flight:
      return text + "the task is at work on it";
    case DeliveryState::delayed:
      return text + "waiting for its next attempt";
    case DeliveryState::held:
      return text + "held until its ancestors are done";
    case DeliveryState::detached:
    case DeliveryState::member:
    case DeliveryState::orphan:
      break;
  }
  return text + "under way";
}

void Tracker::time_out_deliveries(TimePoint now) {
  if (shortest_task_timeout_ == Duration::zero() || now < look_at_deliveries_) return;
  look_at_deliveries_ = now + kDeliveryTimeoutStep;
  forget_extensions();
  scheduler_.for_each_in_flight_since(now - shortest_task_timeout_, [&](std::uint32_t slot) {
    const Delivery& delivery = table_.at(slot);
    const Duration timeout = rules_.task_timeouts[static_cast<std::size_t>(delivery.task)];
    if (timeout == Duration::zero() || TimePoint(delivery.since) + timeout > now) return;
    const auto extended = extended_.find(table_.id_of(slot).packed());
    if (extended != extended_.end() && extended->second > now) return;
    time_out_delivery(slot, now);
  });
}

bool Tracker::extend(DeliveryId id, std::uint32_t worker, Duration time, TimePoint now) {
  const Delivery* delivery = table_.find(id);
  if (shortest_task_timeout_ == Duration::zero() || delivery == nullptr ||
      delivery->state != DeliveryState::in_flight || delivery->worker != worker) {
    return false;
  }
  const Duration timeout = rules_.task_timeouts[static_cast<std::size_t>(delivery->task)];
  if (timeout == Duration::zero()) return false;
  ++count(delivery->task).extended;
  if (now + time <= TimePoint(delivery->since) + timeout) return true;
  TimePoint& until = extended_[id.packed()];
  until = std::max(until, now + time);
  return true;
}

void Tracker::forget_extensions() {
  std::erase_if(extended_, [&](const auto& extension) {
    const Delivery* delivery = table_.find(DeliveryId::unpack(extension.first));
    return delivery == nullptr || delivery->state != DeliveryState::in_flight;
  });
}

void Tracker::time_out_delivery(std::uint32_t slot, TimePoint now) {
  const TaskId task = table_.at(slot).task;
  ++count(task).failed;
  ++count(task).timed_out;
  std::string worker = scheduler_.worker_name(table_.at(slot).worker);
  std::string reason =
      "no result within " + format_duration(rules_.task_timeouts[static_cast<std::size_t>(task)]);
  if (extended_.contains(table_.id_of(slot).packed())) reason += " and the more it asked for";
  timed_out_.push_back({task, table_.at(slot).attempt, worker, reason});
  const std::uint32_t successor = replace_in_flight(slot);
  retry_or_give_up(successor, wire::FailureKind::task_timeout, std::move(worker),
                   {false, reason, Duration::zero()}, now);
}

std::uint32_t Tracker::replace_in_flight(std::uint32_t slot) {
  const std::uint32_t tree = table_.at(slot).tree;
  std::uint32_t successor = kNowhere;
  std::uint32_t last = kNowhere;
  for (std::uint32_t from = slot; from != kNowhere; from = table_.at(from).members) {
    const Delivery& original = table_.at(from);
    Delivery copy;
    copy.task = original.task;
    copy.edge = original.edge;
    copy.attempt = original.attempt;
    copy.losses = original.losses;
    copy.key_slot = original.key_slot;
    copy.traced = original.traced;
    copy.payload = original.payload;
    copy.state = last == kNowhere ? DeliveryState::detached : DeliveryState::member;
    const std::uint32_t made = table_.create(std::move(copy)).slot;
    (last == kNowhere ? successor : table_.at(last).members) = made;
    last = made;
  }
  if (table_.at(slot).traced) traces_.moved(slot, successor, table_.at(slot));
  table_.at(slot).traced = false;
  unlink_from_tree(trees_.at(tree), table_.at(slot));
  scheduler_.orphan(slot);
  table_.at(successor).tree = tree;
  link_to_tree(trees_.at(tree), table_.at(successor), successor);
  return successor;
}

}  // namespace tempest::tracking
