// What the source does besides being read and acked: another part of SourceMachine.

#include <algorithm>
#include <utility>

#include "source_node/source_machine.hpp"

namespace tempest::source_node {

namespace {

using Level = link::Notice::Level;

}  // namespace

TimePoint SourceMachine::ack_at() const {
  const Duration interval = plan_->source.ack_interval;
  if (stopping_ || interval == Duration::zero() || to_ack_.count >= kMaxRequestTokens ||
      to_ack_since_ == kNever) {
    return {};
  }
  return to_ack_since_ + interval;
}

void SourceMachine::ask_upkeep(TimePoint now, std::vector<Request>& requests) {
  if (!opened_ || !source_.may_try(now)) return;
  if (!leave_out_ && !leaving_.empty()) {
    leave_out_ = true;
    requests.push_back(LeaveRequest{std::exchange(leaving_, {})});
  }
  // While stopping as well: what is still out there must not look abandoned.
  if (tend_interval_ == Duration::zero() || tend_out_ || now < tend_at_) return;
  tend_out_ = true;
  requests.push_back(TendRequest{});
}

TimePoint SourceMachine::next_upkeep() const {
  if (!opened_) return kNever;
  TimePoint next = kNever;
  if (!leave_out_ && !leaving_.empty()) next = source_.retry_at();
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

void SourceMachine::settle(const TendDone& done, TimePoint now, link::Effects& effects) {
  tend_out_ = false;
  tend_at_ = now + tend_interval_;
  const SourceTended& tended = done.tended;
  numbers_.discarded += tended.discarded;
  numbers_.moved += tended.moved;
  numbers_.lost_at_source += tended.lost;
  if (tended.discarded + tended.moved + tended.lost > 0) {
    effects.notify(Level::warning, "pending messages that nobody worked on were put aside",
                   {{"discarded", std::to_string(tended.discarded)},
                    {"moved", std::to_string(tended.moved)},
                    {"lost", std::to_string(tended.lost)}});
  }
  if (tended.readers_removed > 0) {
    effects.notify(Level::info, "dead readers that held nothing were removed at the source",
                   {{"readers", std::to_string(tended.readers_removed)}});
  }
  if (!done.result) {
    source_failed(done.result.error(), now, effects);
  } else {
    source_worked(effects);
  }
}

}  // namespace tempest::source_node
