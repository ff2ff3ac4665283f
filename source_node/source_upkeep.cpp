// What the source does besides being read and acked: another part of SourceMachine.

#include <algorithm>
#include <utility>

#include "source_node/source_machine.hpp"

namespace tempest::source_node {

namespace {

using Level = link::Notice::Level;

}  // namespace

bool SourceMachine::only_acks_left() const {
  const bool is_to_end = options_.exit_when_drained || options_.exit_when_ended;
  const bool may_end = numbers_.ended || (options_.exit_when_drained && found_nothing_);
  return is_to_end && may_end && to_ack_.count == store_.count();
}

TimePoint SourceMachine::ack_at() const {
  const Duration interval = plan_->source.ack_interval;
  if (stopping_ || only_acks_left() || interval == Duration::zero() ||
      to_ack_.count >= kMaxRequestTokens || to_ack_since_ == kNever) {
    return {};
  }
  return to_ack_since_ + interval;
}

void SourceMachine::ask_upkeep(TimePoint now, std::vector<Request>& requests) {
  if (!opened_ || !source_.may_try(now)) return;
  if (!leave_out_ && !leaving_.empty()) {
    leave_out_ = true;
    requests.push_back(LeaveRequest{std::exchange(leaving_, {})});
  } else if (!leave_out_ && !untried_.empty()) {
    leave_out_ = true;
    given_back_ += untried_.size();
    requests.push_back(LeaveRequest{std::exchange(untried_, {}), true});
  }
  // Whether there is more is the source's to say: a poll that finds nothing shows little.
  if (options_.exit_when_drained && is_idle_ && !finite_ && !drained_out_ && !source_drained_ &&
      store_.empty() && !stopping_) {
    is_idle_ = false;
    drained_out_ = true;
    requests.push_back(DrainedRequest{});
  }
  // While stopping as well: what is still out there must not look abandoned.
  if (tend_interval_ == Duration::zero() || tend_out_ || now < tend_at_) return;
  tend_out_ = true;
  requests.push_back(TendRequest{});
}

TimePoint SourceMachine::next_upkeep() const {
  if (!opened_) return kNever;
  TimePoint next = kNever;
  const bool is_left = !leaving_.empty() || !untried_.empty();
  if (!leave_out_ && is_left) next = source_.retry_at();
  if (tend_interval_ > Duration::zero() && !tend_out_) {
    next = std::min(next, std::max(source_.retry_at(), tend_at_));
  }
  return next;
}

void SourceMachine::settle(const LeaveDone& done, TimePoint now, link::Effects& effects) {
  leave_out_ = false;
  // Not said again: a source that was away gives everything of its own again anyway.
  if (!done.result) {
    source_failed(done.result.error(), now, effects);
  } else {
    source_worked(effects);
  }
}

void SourceMachine::settle(const DrainedDone& done, TimePoint now, link::Effects& effects) {
  drained_out_ = false;
  if (!done.drained) {
    source_failed(done.drained.error(), now, effects);
    return;
  }
  source_worked(effects);
  source_drained_ = *done.drained && found_nothing_ && store_.empty() && !arrived_;
}

void SourceMachine::settle(const TendDone& done, TimePoint now, link::Effects& effects) {
  tend_out_ = false;
  tend_at_ = now + tend_interval_;
  const SourceTended& tended = done.tended;
  numbers_.discarded += tended.discarded;
  numbers_.moved += tended.moved;
  numbers_.lost_at_source += tended.lost;
  if (tended.discarded + tended.moved + tended.lost > 0) {
    effects.notify(
        Level::warning, "pending messages that nobody worked on were put aside",
        {{"discarded", tended.discarded}, {"moved", tended.moved}, {"lost", tended.lost}});
  }
  if (tended.readers_removed > 0) {
    effects.notify(Level::info, "dead readers that held nothing were removed at the source",
                   {{"readers", tended.readers_removed}});
  }
  if (!done.result) {
    source_failed(done.result.error(), now, effects);
  } else {
    source_worked(effects);
  }
}

}  // namespace tempest::source_node
