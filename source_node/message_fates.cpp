// What becomes of the messages that coordinators were given: the other half of SourceMachine.

#include <algorithm>
#include <cmath>
#include <utility>

#include "source_node/source_machine.hpp"
#include "tempest/base/limits.hpp"
#include "tempest/base/quantity.hpp"
#include "tempest/wire/codec.hpp"
#include "tempest/wire/failure_credit.hpp"

namespace tempest::source_node {

namespace {

using Level = link::Notice::Level;
using Kind = wire::Sighting::Kind;
using Next = wire::Sighting::Next;

// A coordinator that gave messages back gets no new ones for this long, lest they go to and fro.
constexpr Duration kReturnPause = std::chrono::milliseconds(50);
// What waits here is looked through for messages that are too old this often.
constexpr Duration kLeastExpiryInterval = std::chrono::milliseconds(50);
constexpr Duration kMostExpiryInterval = std::chrono::seconds(1);

/// True if another tree may do better. The others the coordinator has retried itself, delivery by
/// delivery, as often as the topology allows.
bool counts_per_message(wire::FailureKind kind) {
  switch (kind) {
    case wire::FailureKind::timeout:
      return true;
    case wire::FailureKind::error:
    case wire::FailureKind::task_timeout:
    case wire::FailureKind::worker_lost:
    case wire::FailureKind::expired:
    case wire::FailureKind::too_large:
    case wire::FailureKind::never_done:
    case wire::FailureKind::too_many:
      return false;
  }
  return false;
}

bool is_timeout(wire::FailureKind kind) {
  return kind == wire::FailureKind::timeout || kind == wire::FailureKind::task_timeout ||
         kind == wire::FailureKind::expired;
}

Duration retry_wait(const Backoff& backoff, unsigned attempt, Random& random) {
  const double grown = static_cast<double>(backoff.initial.count()) *
                       std::pow(backoff.factor, static_cast<double>(attempt) - 1);
  const double bounded = std::min(grown, static_cast<double>(backoff.max.count()));
  const double jittered = bounded * (1.0 - backoff.jitter * random.fraction());
  // The largest durations round up to one that is too large to convert back.
  if (jittered >= static_cast<double>(backoff.max.count())) return backoff.max;
  return Duration(static_cast<Duration::rep>(std::max(jittered, 0.0)));
}

}  // namespace

void SourceMachine::take_events(TimePoint now, link::Effects& effects) {
  // By place: to give a link up for what came over it adds an event.
  for (std::size_t i = 0; i < events_.size(); ++i) {
    const CoordinatorEvent event = events_[i];
    if (event.kind == CoordinatorEvent::Kind::lost) {
      take_lost(event.channel, now, effects);
    } else {
      take_outcomes(event, now, effects);
    }
  }
  events_.clear();
}

void SourceMachine::take_lost(link::ChannelId channel, TimePoint now, link::Effects& effects) {
  Coordinator* coordinator = coordinators_.find(channel);
  if (coordinator == nullptr) return;
  for (std::uint32_t slot = coordinator->sent.head; slot != kNoSlot; slot = store_.at(slot).next) {
    store_.at(slot).state = MessageState::queued;
    store_.renew(slot);
    if (store_.at(slot).traced) {
      trace_taken_back(slot, coordinator->name, "the coordinator is lost", now);
    }
  }
  store_.prepend(queue_, coordinator->sent);
  coordinators_.forget_if_gone(channel, effects);
  // While stopping nothing is sent any more, so nobody will do them.
  if (stopping_) let_go_of_unsent(now);
}

void SourceMachine::take_outcomes(const CoordinatorEvent& event, TimePoint now,
                                  link::Effects& effects) {
  Coordinator* coordinator = coordinators_.find(event.channel);
  if (coordinator == nullptr) return;
  if (!wire::decode(event.body, outcomes_)) {
    ++malformed_;
    coordinators_.give_up(event.channel, now, effects, events_);
    return;
  }
  take_acked(*coordinator, event.channel);
  for (const auto& failed : outcomes_.failed) {
    coordinator->failures_taken += wire::failure_cost(failed.reason.size(), failed.payload.size());
    take_failed(*coordinator, event.channel, failed, now, effects);
  }
  if (!outcomes_.returned.empty()) take_returned(*coordinator, event.channel, now);
  if (stopping_) let_go_of_unsent(now);
}

void SourceMachine::take_acked(Coordinator& coordinator, link::ChannelId channel) {
  // Mostly they are done in the order of sending: what lies in a row moves at once.
  MessageList row;
  const auto move_row = [&] {
    if (row.empty()) return;
    store_.cut(coordinator.sent, row);
    row.bytes = 0;  // Were dropped.
    store_.append(to_ack_, std::exchange(row, {}));
  };
  for (const MessageId id : outcomes_.acked) {
    HeldMessage* message = find_sent(channel, id);
    if (message == nullptr) continue;
    if (message->attempts > 0) attempts_.take(id.slot);
    if (message->previous != row.tail) move_row();
    row.extend(id.slot, *message);
    store_.drop_bytes(*message);
    message->state = MessageState::to_ack;
  }
  move_row();
}

HeldMessage* SourceMachine::find_sent(link::ChannelId channel, MessageId id) {
  HeldMessage* message = store_.find(id);
  if (message == nullptr || message->state != MessageState::sent ||
      message->coordinator != channel) {
    ++numbers_.stale_outcomes;
    return nullptr;
  }
  return message;
}

HeldMessage* SourceMachine::take_sent(Coordinator& coordinator, link::ChannelId channel,
                                      MessageId id) {
  HeldMessage* message = find_sent(channel, id);
  if (message != nullptr) store_.remove(coordinator.sent, id.slot);
  return message;
}

void SourceMachine::take_returned(Coordinator& coordinator, link::ChannelId channel,
                                  TimePoint now) {
  coordinator.paused_until = now + kReturnPause;
  // From the back, so that the first of them is the first of the queue.
  for (auto id = outcomes_.returned.rbegin(); id != outcomes_.returned.rend(); ++id) {
    HeldMessage* message = take_sent(coordinator, channel, *id);
    if (message == nullptr) continue;
    message->state = MessageState::queued;
    message->sent_before = false;
    store_.renew(id->slot);
    if (message->traced) {
      trace_taken_back(id->slot, coordinator.name, "the coordinator gave it back", now);
    }
    store_.push_front(queue_, id->slot);
  }
}

void SourceMachine::take_failed(Coordinator& coordinator, link::ChannelId channel,
                                const wire::Outcomes::Failed& failed, TimePoint now,
                                link::Effects& effects) {
  HeldMessage* message = take_sent(coordinator, channel, failed.id);
  if (message == nullptr) return;
  const std::uint32_t slot = failed.id.slot;
  const FailureRule rule = plan_->failure.rule(is_timeout(failed.kind));
  FailedAttempt attempt{failed.kind,
                        std::string(failed.task),
                        std::string(failed.worker),
                        std::string(failed.reason),
                        failed.attempts,
                        now};
  if (rule.policy == FailurePolicy::retry && counts_per_message(failed.kind)) {
    if (message->attempts < kMaxAttempts) message->attempts = message->attempts + 1;
    if (message->attempts < rule.max_attempts) {
      const Duration wait = retry_wait(rule.backoff, message->attempts, random_);
      if (message->traced) trace_failure(slot, attempt, Next::again, wait, now);
      attempts_.add(slot, std::move(attempt));
      try_later(slot, wait, now);
      return;
    }
  } else if (message->attempts < kMaxAttempts) {
    message->attempts = message->attempts + 1;
  }
  give_up(slot, std::move(attempt), failed.payload, now, effects);
}

void SourceMachine::give_up(std::uint32_t slot, FailedAttempt attempt,
                            std::string_view failing_payload, TimePoint now,
                            link::Effects& effects) {
  give_up(slot, letter_of(slot, std::move(attempt), failing_payload), now, effects);
}

void SourceMachine::give_up(std::uint32_t slot, DeadLetter letter, TimePoint now,
                            link::Effects& effects) {
  if (plan_->failure.handler) {
    store_.at(slot).state = MessageState::asked;
    failures_.add(slot, std::move(letter));
  } else {
    end(slot, std::move(letter), FailureChoice::Action::by_policy, now, effects);
  }
}

DeadLetter SourceMachine::letter_of(std::uint32_t slot, FailedAttempt attempt,
                                    std::string_view failing_payload) {
  const HeldMessage& message = store_.at(slot);
  DeadLetter letter;
  letter.topology = plan_->topology;
  letter.version = plan_->version;
  letter.token = message.token;
  letter.payload = message.payload();
  letter.key = message.key();
  letter.failing_payload = failing_payload;
  letter.read_at = message.read_at;
  letter.replayed = store_.replayed(slot);
  letter.attempt = std::max<std::uint32_t>(message.attempts, 1);
  letter.attempts = attempts_.take(slot);
  letter.attempts.push_back(std::move(attempt));
  return letter;
}

void SourceMachine::end(std::uint32_t slot, DeadLetter letter, FailureChoice::Action action,
                        TimePoint now, link::Effects& effects) {
  using Action = FailureChoice::Action;
  const FailedAttempt& last = letter.attempts.back();
  ++numbers_.failed;
  if (const std::uint64_t count = failed_notices_.count(now); count > 0) {
    effects.notify(Level::warning, "messages failed for good; the last: " + last.reason,
                   {{"task", last.task},
                    {"kind", wire::to_string(last.kind)},
                    {"worker", last.worker},
                    {"messages", count}});
  }
  if (action == Action::by_policy) {
    const FailurePolicy policy = plan_->failure.rule(is_timeout(last.kind)).policy;
    action = policy == FailurePolicy::best_effort ? Action::ack
             : policy == FailurePolicy::none      ? Action::leave
                                                  : Action::dead_letter;
  }
  if (store_.at(slot).traced) {
    const bool is_kept = action == Action::dead_letter && plan_->failure.dead_letter;
    const Next next = action == Action::ack ? Next::ack : is_kept ? Next::dead_letter : Next::leave;
    trace_failure(slot, last, next, {}, now);
  }
  if (action == Action::ack) {
    queue_ack(slot);
  } else if (action == Action::dead_letter && plan_->failure.dead_letter) {
    store_.at(slot).state = MessageState::dead;
    store_.drop_bytes(store_.at(slot));  // The letter has them.
    dead_letters_.add(slot, std::move(letter));
  } else {
    const bool wanted_a_letter = action == Action::dead_letter;
    leave(slot, wanted_a_letter ? FailurePolicy::retry : FailurePolicy::none, now, effects);
  }
}

void SourceMachine::settle(const ChooseDone& done, TimePoint now, link::Effects& effects) {
  if (!done.fault.empty()) {
    if (const std::uint64_t count = handler_notices_.count(now); count > 0) {
      effects.notify(Level::error,
                     "the failure handler does not say what is to become of messages: they go by "
                     "the policy: " +
                         done.fault);
    }
  }
  std::vector<FailureBox::Failed> failed = failures_.answered();
  for (std::size_t i = 0; i < failed.size(); ++i) {
    choose(std::move(failed[i]), i < done.choices.size() ? done.choices[i] : FailureChoice{}, now,
           effects);
  }
  if (stopping_) let_go_of_unsent(now);
}

void SourceMachine::choose(FailureBox::Failed failed, const FailureChoice& choice, TimePoint now,
                           link::Effects& effects) {
  const std::uint32_t slot = failed.slot;
  HeldMessage& message = store_.at(slot);
  // What no frame can hold, or is no message, fails however often it is tried.
  const bool may_retry = message.bytes.size() <= kMaxPayloadBytes && !failed.letter.unreadable;
  if (choice.action != FailureChoice::Action::retry || !may_retry) {
    const auto action = may_retry || choice.action != FailureChoice::Action::retry
                            ? choice.action
                            : FailureChoice::Action::by_policy;
    end(slot, std::move(failed.letter), action, now, effects);
    return;
  }
  const FailureRule rule = plan_->failure.rule(is_timeout(failed.letter.attempts.back().kind));
  const Duration wait =
      choice.after > Duration::zero()
          ? choice.after
          : retry_wait(rule.backoff, std::max<std::uint32_t>(message.attempts, 1), random_);
  if (message.traced) trace_failure(slot, failed.letter.attempts.back(), Next::again, wait, now);
  for (FailedAttempt& attempt : failed.letter.attempts) attempts_.add(slot, std::move(attempt));
  try_later(slot, wait, now);
}

void SourceMachine::refuse(std::uint32_t slot, TimePoint now, link::Effects& effects) {
  FailedAttempt attempt;
  attempt.kind = wire::FailureKind::too_large;
  attempt.reason = "read with " + format_size_bytes(store_.at(slot).bytes.size()) +
                   " of payload and key, and a message may have " +
                   format_size_bytes(kMaxPayloadBytes) + " at most";
  attempt.at = now;
  give_up(slot, std::move(attempt), {}, now, effects);
}

void SourceMachine::refuse_unreadable(std::uint32_t slot, std::string_view fault, TimePoint now,
                                      link::Effects& effects) {
  FailedAttempt attempt;
  attempt.reason = "source: " + std::string(fault.substr(0, kMaxReasonBytes));
  attempt.at = now;
  DeadLetter letter = letter_of(slot, std::move(attempt), {});
  letter.unreadable = true;
  give_up(slot, std::move(letter), now, effects);
}

bool SourceMachine::refuse_worn_out(std::uint32_t slot, std::uint32_t given_before, TimePoint now,
                                    link::Effects& effects) {
  const FailureRule rule = plan_->failure.rule(false);
  if (rule.policy != FailurePolicy::retry || given_before < rule.max_attempts) return false;
  FailedAttempt attempt;
  attempt.kind = wire::FailureKind::never_done;
  attempt.reason = "tried " + std::to_string(given_before) +
                   " times before, by the source's count, and never done (max_attempts is " +
                   std::to_string(rule.max_attempts) + ")";
  attempt.at = now;
  give_up(slot, std::move(attempt), {}, now, effects);
  return true;
}

void SourceMachine::queue_ack(std::uint32_t slot) {
  HeldMessage& message = store_.at(slot);
  store_.drop_bytes(message);
  message.state = MessageState::to_ack;
  store_.push_back(to_ack_, slot);
}

void SourceMachine::leave(std::uint32_t slot, FailurePolicy policy, TimePoint now,
                          link::Effects& effects) {
  ++numbers_.left;
  leaving_.push_back(store_.at(slot).token);
  if (store_.at(slot).traced) trace_end(slot, Kind::left, now);
  store_.release(slot);
  if (store_.empty()) pace_.became_idle(now);
  if (policy != FailurePolicy::retry) return;
  if (const std::uint64_t count = left_notices_.count(now); count > 0) {
    effects.notify(Level::warning,
                   "failed messages are left unacked at the source: the topology has no "
                   "[failure] dead_letter",
                   {{"messages", count}});
  }
}

void SourceMachine::try_later(std::uint32_t slot, Duration wait, TimePoint now) {
  HeldMessage& message = store_.at(slot);
  message.state = MessageState::waiting;
  store_.renew(slot);
  const TimePoint until = wait < kNever - now ? now + wait : kNever;
  waiting_.insert({until, waits_made_++, slot});
}

void SourceMachine::queue_due(TimePoint now) {
  while (!waiting_.empty() && waiting_.begin()->until <= now) {
    const std::uint32_t slot = waiting_.begin()->slot;
    waiting_.erase(waiting_.begin());
    store_.at(slot).state = MessageState::queued;
    store_.push_back(queue_, slot);
  }
}

void SourceMachine::give_up_expired(TimePoint now, link::Effects& effects) {
  if (!plan_ || plan_->failure.max_age == Duration::zero() || now < expire_at_) return;
  const Duration max_age = plan_->failure.max_age;
  expire_at_ = now + std::clamp(max_age / 16, kLeastExpiryInterval, kMostExpiryInterval);
  const auto is_expired = [&](std::uint32_t slot) {
    return now - store_.at(slot).read_at >= max_age;
  };
  std::vector<std::uint32_t> expired;
  for (std::uint32_t slot = queue_.head; slot != kNoSlot; slot = store_.at(slot).next) {
    if (is_expired(slot)) expired.push_back(slot);
  }
  for (const std::uint32_t slot : expired) store_.remove(queue_, slot);
  std::erase_if(waiting_, [&](const Wait& wait) {
    if (!is_expired(wait.slot)) return false;
    expired.push_back(wait.slot);
    return true;
  });
  for (const std::uint32_t slot : expired) {
    FailedAttempt attempt;
    attempt.kind = wire::FailureKind::expired;
    attempt.reason = "older than max_age (" + format_duration(max_age) + ") before it was sent";
    attempt.at = now;
    give_up(slot, std::move(attempt), {}, now, effects);
  }
}

void SourceMachine::let_go_of_unsent(TimePoint now) {
  while (!queue_.empty()) {
    const std::uint32_t slot = queue_.head;
    store_.remove(queue_, slot);
    if (store_.at(slot).traced) trace_end(slot, Kind::left, now);
    untried_.push_back(store_.at(slot).token);
    attempts_.take(slot);
    store_.release(slot);
  }
  for (const Wait& wait : waiting_) {
    untried_.push_back(store_.at(wait.slot).token);
    attempts_.take(wait.slot);
    if (store_.at(wait.slot).traced) trace_end(wait.slot, Kind::left, now);
    store_.release(wait.slot);
  }
  waiting_.clear();
}

// --- For those who trace messages --------------------------------------------------------------

void SourceMachine::trace_failure(std::uint32_t slot, const FailedAttempt& attempt, Next next,
                                  Duration again, TimePoint now) {
  traces_.say(slot, store_.at(slot),
              {.kind = Kind::failed,
               .peer = attempt.worker,
               .next = next,
               .again = again,
               .failure = attempt.kind,
               .task = attempt.task,
               .attempts = attempt.delivery_attempts,
               .text = attempt.reason},
              now);
}

void SourceMachine::trace_taken_back(std::uint32_t slot, std::string_view coordinator,
                                     std::string_view why, TimePoint now) {
  traces_.say(slot, store_.at(slot), {.kind = Kind::taken_back, .peer = coordinator, .text = why},
              now);
}

void SourceMachine::trace_acked(TimePoint now) {
  for (std::uint32_t slot = acking_.head; slot != kNoSlot; slot = store_.at(slot).next) {
    if (store_.at(slot).traced) trace_end(slot, Kind::acked, now);
  }
}

void SourceMachine::trace_end(std::uint32_t slot, Kind kind, TimePoint now) {
  traces_.end(slot, store_.at(slot), {.kind = kind}, now);
}

}  // namespace tempest::source_node
