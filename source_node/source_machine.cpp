#include "source_node/source_machine.hpp"

#include <algorithm>
#include <utility>

#include "tempest/base/limits.hpp"
#include "tempest/base/quantity.hpp"

namespace tempest::source_node {

namespace {

/// How long an orderly end waits for a poll that is under way, so that what it brings is given
/// back.
constexpr Duration kLastPollWait = std::chrono::milliseconds(250);

using Level = link::Notice::Level;

// One empty poll may have come just before a message; a source is taken to be empty after two.

// The turn with fewer takes less time than to wake the source's thread before it.
constexpr std::size_t kWorthAskingAhead = 64;

// Dead letters may take a quarter of what messages may, and so much at least.
constexpr std::uint64_t kLetterShare = 4;
constexpr std::uint64_t kLeastLetterBytes = 64ULL << 10;

}  // namespace

SourceMachine::SourceMachine(Options options, ReadPlan read_plan)
    : options_(std::move(options)),
      read_plan_(std::move(read_plan)),
      random_(options_.seed),
      member_(options_.self, options_.brokers, options_.link, random_.next()),
      coordinators_(options_.self, options_.link, random_.next()),
      traces_(options_.self) {}

void SourceMachine::start(TimePoint now, link::Effects& effects) {
  registry::Registration registration;
  registration.state = state_;
  member_.set_registration(std::move(registration), now, effects);
  member_.start(now, effects);
}

void SourceMachine::receive(const link::FrameReceived& received, TimePoint now,
                            link::Effects& effects) {
  if (finished_) return;
  if (member_.owns(received.channel)) {
    if (member_.receive(received.channel, received.frame.view(), now, effects)) {
      take_directory(now, effects);
    }
  } else {
    coordinators_.receive(received.channel, received.frame.view(), now, effects, events_);
    take_events(now, effects);
  }
}

// --- The topology ------------------------------------------------------------------------------

void SourceMachine::take_directory(TimePoint now, link::Effects& effects) {
  const registry::Directory& directory = member_.directory();
  coordinators_.set_directory(directory, now, effects);
  const bool was_traced = traces_.wanted();
  traces_.set(directory.watches);
  if (traces_.wanted() != was_traced) {
    effects.notify(Level::info, was_traced ? "no operator traces messages any more"
                                           : "an operator traces messages");
  }
  if (stopping_ || directory.topology_text.empty() || directory.topology_text == plan_text_) return;
  plan_text_ = directory.topology_text;
  auto plan = read_plan_(plan_text_);
  if (plan) {
    take_plan(std::move(*plan), effects);
  } else if (plan_) {
    effects.notify(Level::error, "the topology's new version cannot be used; the old one stays: " +
                                     plan.error().message);
  } else {
    effects.notify(Level::error, plan.error().message);
    failure_ = plan.error();
    finish("bad topology", now, effects);
  }
}

void SourceMachine::take_plan(Plan plan, link::Effects& effects) {
  effects.notify(Level::info,
                 (plan_ ? "topology has a new version " : "topology has version ") + plan.version);
  auto shared = std::make_shared<const Plan>(std::move(plan));
  if (plan_ && !same_endpoints(*plan_, *shared)) {
    next_plan_ = std::move(shared);
    return;
  }
  next_plan_.reset();
  plan_ = std::move(shared);
  coordinators_.set_sends_ages(plan_->failure.max_age > Duration::zero());
  pace_.set_bounds(plan_->source);
}

// --- The source --------------------------------------------------------------------------------

void SourceMachine::take(Response response, TimePoint now, link::Effects& effects) {
  if (finished_) return;
  std::visit([&](auto& done) { settle(std::move(done), now, effects); }, response);
}

void SourceMachine::settle(OpenDone done, TimePoint now, link::Effects& effects) {
  open_out_ = false;
  warn(done.warnings, effects);
  if (!done.result) {
    source_failed(done.result.error(), now, effects);
    return;
  }
  source_worked(effects);
  opened_ = true;
  finite_ = done.finite;
  if (!done.gives_again && gives_again_ && done.warnings.empty()) {
    effects.notify(Level::warning,
                   "the source cannot give again what it has given: what this node holds is lost "
                   "if its process dies");
  }
  gives_again_ = done.gives_again;
  tend_interval_ = done.tend_interval;
  tend_at_ = now;
  numbers_.ended = false;
  found_nothing_ = is_idle_ = source_drained_ = false;
  pace_ = ReadPace(plan_->source);
}

void SourceMachine::settle(PollDone done, TimePoint now, link::Effects& effects) {
  poll_out_ = false;
  warn(done.warnings, effects);
  if (!done.result) {
    source_failed(done.result.error(), now, effects);
    return;
  }
  source_worked(effects);
  read_arrived(now, effects);
  pace_.polled(done.batch.size(), done.batch.bytes(), done.quiet_until, now);
  arrived_ = std::move(done);
}

void SourceMachine::read_arrived(TimePoint now, link::Effects& effects) {
  if (!arrived_) return;
  // While stopping: not counted as read, and left to the source; nobody would wait for it.
  if (!stopping_) {
    read(arrived_->batch, arrived_->names, now, effects);
  } else {
    for (const SourceMessage& message : arrived_->batch.messages()) {
      if (!arrived_->batch.redelivered) untried_.push_back(message.token);
    }
    lose(arrived_->batch.lost, effects);
  }
  spent_ = std::move(arrived_->batch);
  spent_.clear();
  arrived_.reset();
}

void SourceMachine::read(SourceBatch& batch, std::span<const std::string> names, TimePoint now,
                         link::Effects& effects) {
  // As of now: what was acked since the last batch may come again, from a server that went back.
  if (batch.redelivered) note_held();
  std::uint64_t taken = 0;
  const std::span<const SourceMessage> messages = batch.messages();
  const bool may_trace =
      traces_.wanted() && traces_.begin(messages.size(), now) && names.size() == messages.size();
  for (std::size_t i = 0; i < messages.size(); ++i) {
    const SourceMessage& message = messages[i];
    if (batch.redelivered && is_held(message.token)) {
      ++numbers_.given_again;
      continue;
    }
    const std::uint32_t slot = store_.add(message, batch.take_large_bytes(i), now);
    ++taken;
    if (may_trace) traces_.consider(slot, store_.at(slot), names[i], now);
    if (!message.fault.empty()) {
      refuse_unreadable(slot, message.fault, now, effects);
    } else if (message.payload.size() + message.key.size() > kMaxPayloadBytes) {
      refuse(slot, now, effects);
    } else if (message.given_before == 0 ||
               !refuse_worn_out(slot, message.given_before, now, effects)) {
      store_.push_back(queue_, slot);
    }
  }
  if (taken > 0 && numbers_.read == 0) numbers_.first_read_at = now;
  numbers_.read += taken;
  numbers_.claimed += batch.claimed;
  lose(batch.lost, effects);
  if (batch.ended) {
    numbers_.ended = true;
    effects.notify(Level::info, "the source has given all it has", {{"read", numbers_.read}});
  }
  found_nothing_ = batch.empty() && !batch.has_more;
  is_idle_ = found_nothing_ && store_.empty();
  source_drained_ = false;
}

void SourceMachine::lose(std::uint64_t count, link::Effects& effects) {
  if (count == 0) return;
  numbers_.lost_at_source += count;
  effects.notify(Level::warning, "messages were lost at the source", {{"lost", count}});
}

void SourceMachine::note_held() {
  held_tokens_.clear();
  store_.for_each([this](const HeldMessage& message) { held_tokens_.insert(message.token); });
}

bool SourceMachine::is_held(const SourceToken& token) {
  return !held_tokens_.insert(token).second;
}

void SourceMachine::settle(AckDone done, TimePoint now, link::Effects& effects) {
  ack_out_ = false;
  if (!done.result) {
    store_.prepend(to_ack_, acking_);
    source_failed(done.result.error(), now, effects);
    return;
  }
  source_worked(effects);
  numbers_.acked += acking_.count;
  numbers_.last_ack_at = now;
  if (traces_.active()) trace_acked(now);
  // Messages read together are acked together, as a rule: one entry for each run of them.
  TimePoint run_read_at{};
  std::uint64_t run = 0;
  for (std::uint32_t slot = std::exchange(acking_, {}).head; slot != kNoSlot;) {
    const HeldMessage& message = store_.at(slot);
    if (message.read_at != run_read_at && run > 0) {
      latency_.record(now - run_read_at, std::exchange(run, 0));
    }
    run_read_at = message.read_at;
    ++run;
    const std::uint32_t next = message.next;
    store_.release(slot);
    slot = next;
  }
  if (run > 0) latency_.record(now - run_read_at, run);
  if (store_.empty()) pace_.became_idle(now);
}

void SourceMachine::settle(DeadLettersDone done, TimePoint now, link::Effects& effects) {
  if (!done.result) {
    if (dead_letters_.failed(now)) {
      effects.notify(Level::error,
                     "dead letters cannot be written; they wait, and are tried again: " +
                         done.result.error().message);
    }
    return;
  }
  if (dead_letters_.sink().worked()) {
    effects.notify(Level::info, "dead letters can be written again");
  }
  for (const std::uint32_t slot : dead_letters_.written()) {
    ++numbers_.dead_lettered;
    if (store_.at(slot).traced) {
      traces_.say(slot, store_.at(slot), {.kind = wire::Sighting::Kind::dead_letter}, now);
    }
    queue_ack(slot);
  }
}

void SourceMachine::source_worked(link::Effects& effects) {
  if (source_.worked()) effects.notify(Level::info, "the source is back");
}

void SourceMachine::source_failed(const Error& error, TimePoint now, link::Effects& effects) {
  if (error.means_away()) {
    if (source_.failed(now)) {
      effects.notify(Level::warning,
                     "the source is away; trying again until it is back: " + error.message);
      away_told_ = error.message;
    } else if (error.message != away_told_ && error.message == away_last_) {
      // What cut it off may not be what keeps it away: a password that was changed, say.
      effects.notify(Level::warning, "the source is still away: " + error.message);
      away_told_ = error.message;
    }
    away_last_ = error.message;
    return;
  }
  effects.notify(Level::error, error.message);
  failure_ = error;
  finish("source failed", now, effects);
}

void SourceMachine::warn(const std::vector<std::string>& warnings, link::Effects& effects) {
  for (const std::string& warning : warnings) effects.notify(Level::warning, warning);
}

// --- Turns -------------------------------------------------------------------------------------

void SourceMachine::turn(TimePoint now, link::Effects& effects, std::vector<Request>& requests) {
  if (finished_) return;
  if (member_.turn(now, effects)) take_directory(now, effects);
  if (finished_) return;
  read_arrived(now, effects);
  coordinators_.turn(now, effects, events_);
  take_events(now, effects);
  if (!stopping_) {
    queue_due(now);
    give_up_expired(now, effects);
    numbers_.resent += coordinators_.send(store_, queue_, traces_, now, effects);
  }
  bound_failures(now, effects);
  ask(now, requests);
  check_end(now, effects);
  if (!finished_) show_state(now, effects);
  if (traces_.active()) traces_.publish(now, effects);
}

void SourceMachine::ask(TimePoint now, std::vector<Request>& requests) {
  if (!plan_ || open_out_) return;
  ask_acks(now, requests);
  ask_upkeep(now, requests);
  if (auto failed = failures_.next()) requests.push_back(std::move(*failed));
  if (auto letters = dead_letters_.next(now)) requests.push_back(std::move(*letters));
  if (!stopping_) ask_source(now, requests);
}

void SourceMachine::ask_acks(TimePoint now, std::vector<Request>& requests) {
  if (to_ack_.empty()) to_ack_since_ = kNever;
  if (ack_out_ || to_ack_.empty() || !source_.may_try(now)) return;
  to_ack_since_ = std::min(to_ack_since_, now);
  if (now < ack_at()) return;
  to_ack_since_ = kNever;
  AckRequest ack;
  ack.tokens.reserve(std::min<std::uint64_t>(to_ack_.count, kMaxRequestTokens));
  MessageList front;
  for (std::uint32_t slot = to_ack_.head; slot != kNoSlot && front.count < kMaxRequestTokens;) {
    HeldMessage& message = store_.at(slot);
    message.state = MessageState::acking;
    ack.tokens.push_back(message.token);
    front.extend(slot, message);
    slot = message.next;
  }
  store_.cut(to_ack_, front);
  store_.append(acking_, front);
  ack_out_ = true;
  requests.push_back(std::move(ack));
}

void SourceMachine::ask_source(TimePoint now, std::vector<Request>& requests) {
  if (next_plan_ && opened_ && nothing_out() && store_.empty()) {
    plan_ = std::exchange(next_plan_, nullptr);
    coordinators_.set_sends_ages(plan_->failure.max_age > Duration::zero());
    opened_ = false;
  }
  if (!source_.may_try(now)) return;
  if (!opened_) {
    open_out_ = true;
    requests.push_back(OpenRequest{plan_});
    return;
  }
  // Another poll could block, and the end would wait behind it, again and again.
  if (options_.exit_when_drained && drained()) return;
  if (may_poll()) ask_poll(now, requests);
}

void SourceMachine::ask_ahead(TimePoint now, std::vector<Request>& requests) {
  if (finished_ || stopping_ || !arrived_) return;
  const SourceBatch& batch = arrived_->batch;
  const bool is_worth_it = batch.size() >= kWorthAskingAhead && !batch.ended;
  if (is_worth_it && may_poll()) ask_poll(now, requests);
}

void SourceMachine::ask_poll(TimePoint now, std::vector<Request>& requests) {
  auto poll = pace_.next(load(), now);
  if (!poll) return;
  poll_out_ = true;
  poll->with_names = traces_.wants_names(now);
  poll->batch = std::exchange(spent_, {});
  requests.push_back(std::move(*poll));
}

bool SourceMachine::may_poll() const {
  return opened_ && !poll_out_ && !drained_out_ && !numbers_.ended && !next_plan_ &&
         coordinators_.any_open();
}

ReadPace::Load SourceMachine::load() const {
  const std::uint64_t bytes = store_.bytes() + letter_bytes() + attempts_.bytes();
  if (!arrived_) return {store_.count(), bytes};
  const SourceBatch& batch = arrived_->batch;
  return {store_.count() + batch.size(), bytes + batch.bytes()};
}

std::uint64_t SourceMachine::letter_budget() const {
  return plan_ ? std::max(plan_->source.max_pending_bytes / kLetterShare, kLeastLetterBytes)
               : kLeastLetterBytes;
}

void SourceMachine::bound_failures(TimePoint now, link::Effects& effects) {
  const std::uint64_t held = letter_bytes();
  const std::uint64_t budget = letter_budget();
  coordinators_.grant_failures(budget - std::min(budget, held), now, effects);
  if (dead_letters_.empty()) held_back_told_ = false;
  if (held_back_told_ || !dead_letters_.sink().is_away() || !opened_) return;
  if (held < budget && pace_.has_room(load())) return;
  held_back_told_ = true;
  effects.notify(Level::warning,
                 "nothing more is read until dead letters can be written: they take up all that "
                 "they may of this node",
                 {{"dead_letters", dead_letters_.size()}, {"bytes", format_size_bytes(held)}});
}

bool SourceMachine::nothing_out() const {
  return !open_out_ && !poll_out_ && !ack_out_ && !leave_out_ && !tend_out_ && !drained_out_ &&
         leaving_.empty() && dead_letters_.empty();
}

TimePoint SourceMachine::next_turn() const {
  if (finished_) return kNever;
  TimePoint next = std::min({member_.next_turn(), coordinators_.next_turn(!queue_.empty()),
                             stop_at_, dead_letters_.next_turn()});
  if (!waiting_.empty()) next = std::min(next, waiting_.begin()->until);
  if (plan_ && plan_->failure.max_age > Duration::zero() && !store_.empty() && !stopping_) {
    next = std::min(next, expire_at_);
  }
  if (!plan_ || open_out_) return next;
  if (!ack_out_ && !to_ack_.empty()) next = std::min(next, std::max(source_.retry_at(), ack_at()));
  next = std::min(next, next_upkeep());
  if (stopping_) return poll_out_ && store_.empty() ? std::min(next, poll_until_) : next;
  if (!opened_) {
    next = std::min(next, source_.retry_at());
  } else if (may_poll() && pace_.has_room(load())) {
    next = std::min(next, std::max(source_.retry_at(), pace_.poll_at()));
  }
  return next;
}

// --- The end -----------------------------------------------------------------------------------

void SourceMachine::stop(bool at_once, TimePoint now, link::Effects& effects) {
  if (finished_) return;
  if (at_once) {
    finish("stopped at once", now, effects);
    return;
  }
  if (stopping_) return;
  stopping_ = true;
  stop_at_ = now + options_.drain_timeout;
  poll_until_ = std::min(stop_at_, now + kLastPollWait);
  let_go_of_unsent(now);
  effects.notify(Level::info, "draining", {{"pending", store_.count()}});
}

void SourceMachine::check_end(TimePoint now, link::Effects& effects) {
  if (stopping_) {
    const bool is_told = !leave_out_ && leaving_.empty() && (untried_.empty() || source_.is_away());
    // What a poll brings now is given back. One that waits for messages is not waited for.
    const bool is_read = !poll_out_ || source_.is_away() || now >= poll_until_;
    if (store_.empty() && !ack_out_ && dead_letters_.empty() && is_told && is_read) {
      finish("drained", now, effects);
    } else if (now >= stop_at_) {
      effects.notify(Level::warning, "not everything was done in time; the rest is left unacked",
                     {{"pending", store_.count()}});
      finish("drain timeout", now, effects);
    }
    return;
  }
  const bool may_end = options_.exit_when_drained || (options_.exit_when_ended && numbers_.ended);
  if (may_end && drained() && nothing_out()) finish("drained", now, effects);
}

bool SourceMachine::drained() const {
  if (!opened_ || next_plan_ || !store_.empty()) return false;
  return numbers_.ended || (!finite_ && source_drained_);
}

void SourceMachine::finish(std::string_view reason, TimePoint now, link::Effects& effects) {
  if (finished_) return;
  finished_ = true;
  state_ = "finished";
  count_lost(effects);
  effects.notify(Level::info, "finished",
                 {{"why", std::string(reason)},
                  {"read", numbers_.read},
                  {"acked", numbers_.acked},
                  {"failed", numbers_.failed}});
  coordinators_.close(reason, now, effects);
  member_.close(reason, now, effects);
  effects.finished = true;
}

void SourceMachine::count_lost(link::Effects& effects) {
  const std::uint64_t lost =
      store_.count() - to_ack_.count - acking_.count + untried_.size() + given_back_;
  if (gives_again_ || lost == 0) return;
  numbers_.lost_at_source += lost;
  effects.notify(Level::warning,
                 "messages that were read and are not done are lost: the source cannot give them "
                 "again",
                 {{"lost", lost}});
}

// --- What others are shown ---------------------------------------------------------------------

std::string SourceMachine::state_now() const {
  if (stopping_) return "draining";
  if (!plan_) return "waiting for a topology";
  if (source_.is_away()) return "stalled: the source is away";
  if (dead_letters_.next_turn() != kNever) return "stalled: dead letters cannot be written";
  if (!opened_) return "opening the source";
  if (!coordinators_.any_open()) return "waiting for a coordinator";
  return numbers_.ended && store_.empty() ? "drained" : "running";
}

void SourceMachine::show_state(TimePoint now, link::Effects& effects) {
  std::string state = state_now();
  const std::string& version = plan_ ? plan_->version : std::string();
  if (state == state_ && version == member_.registration().topology_version) return;
  state_ = std::move(state);
  registry::Registration registration = member_.registration();
  registration.state = state_;
  registration.topology_version = version;
  member_.set_registration(std::move(registration), now, effects);
}

SourceNumbers SourceMachine::numbers() const {
  SourceNumbers numbers = numbers_;
  numbers.pending = store_.count();
  numbers.pending_bytes = store_.bytes();
  numbers.letters_waiting = dead_letters_.size();
  numbers.failure_bytes = letter_bytes() + attempts_.bytes();
  return numbers;
}

Duration SourceMachine::oldest_age(TimePoint now) const {
  TimePoint oldest = now;
  store_.for_each(
      [&oldest](const HeldMessage& message) { oldest = std::min(oldest, message.read_at); });
  return now - oldest;
}

}  // namespace tempest::source_node
