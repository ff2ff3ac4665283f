#include "tempest/runtime/loop_driver.hpp"

#include <algorithm>
#include <utility>

#include "tempest/runtime/clock.hpp"

namespace tempest::runtime {

namespace {

// While members have news for each other, connections to others are looked at once in so many
// rounds.
constexpr unsigned kMostRoundsWithoutLook = 16;

class NoFrames final : public FrameSink {
 public:
  void receive(link::ChannelId, std::string_view, SharedBytes) override {}
};

}  // namespace

LoopDriver::LoopDriver(std::vector<LoopMember*> members, OnEnd on_end)
    : members_(std::move(members)), on_end_(std::move(on_end)), running_(members_.size()) {
  if (members_.size() < 2) return;
  poller_ = std::make_unique<Poller>();
  looks_.resize(members_.size());
  for (std::size_t i = 0; i < members_.size(); ++i) {
    poller_->add(members_[i]->network().descriptor(), &looks_[i], false);
  }
}

void LoopDriver::run() {
  while (drive(kOwnThread) == Left::leadership) leadership_.wait_to_lead();
}

LoopDriver::Left LoopDriver::drive(std::size_t driver) {
  while (true) {
    if (driver == kOwnThread) {
      end_finished();
      if (running_ == 0) return Left::ended;
    }
    wait();
    const TimePoint now = monotonic_now();
    bool has_finished = false;
    for (std::size_t i = 0; i < members_.size(); ++i) {
      if (!has_reason(i, now)) continue;
      members_[i]->step(now);
      if (!make_calls(i, driver)) return Left::leadership;
      has_finished |= members_[i]->has_finished();
    }
    if (driver == kOwnThread) continue;
    if (has_finished || members_[driver]->node().is_call_thread_wanted()) {
      leadership_.give_back();
      return Left::leadership;
    }
  }
}

bool LoopDriver::make_calls(std::size_t member, std::size_t driver) {
  while (const std::unique_ptr<Call> call = members_[member]->node().take_call()) {
    const bool is_brief = call->is_brief();
    if (driver == member) {
      if (!is_brief) {
        leadership_.give_back();
        call->make();
        return false;
      }
      const auto token = leadership_.lend(monotonic_now());
      call->make();
      if (!leadership_.take_back(token)) return false;
    } else if (driver == kOwnThread && is_brief && call->is_thread_free()) {
      const auto token = leadership_.lend(monotonic_now());
      call->send([self = shared_from_this(), member, token] {
        if (self->leadership_.take_back(token)) self->drive(member);
      });
      return false;
    } else {
      call->send({});
    }
  }
  return true;
}

bool LoopDriver::has_reason(std::size_t member, TimePoint now) const {
  const LoopMember& one = *members_[member];
  if (one.has_finished()) return false;
  return members_.size() == 1 || looks_[member].wanted || now >= one.next_step() || one.has_news();
}

bool LoopDriver::has_news() const {
  return std::any_of(members_.begin(), members_.end(), [](const LoopMember* member) {
    return !member->has_finished() && member->has_news();
  });
}

void LoopDriver::wait() {
  if (poller_) {
    for (Look& look : looks_) look.wanted = false;
    if (has_news() && ++rounds_without_look_ < kMostRoundsWithoutLook) return;
    rounds_without_look_ = 0;
  }
  for (LoopMember* member : members_) member->network().prepare_to_sleep();
  TimePoint until = kNever;
  for (const LoopMember* member : members_) {
    if (!member->has_finished()) until = std::min(until, member->next_step());
  }
  if (has_news()) until = TimePoint::min();
  poller_ ? wait_for_all(until) : members_.front()->network().wait(until);
  for (LoopMember* member : members_) member->network().wake_up();
}

void LoopDriver::wait_for_all(TimePoint until) {
  poller_->wait(until == TimePoint::min() ? Duration::zero() : until - monotonic_now());
  NoFrames nobody;
  Turn turn{{}, nobody};
  poller_->dispatch(turn);
  for (std::size_t i = 0; i < members_.size(); ++i) {
    if (looks_[i].wanted) members_[i]->network().wait(TimePoint::min());
  }
}

void LoopDriver::end_finished() {
  for (std::size_t i = 0; i < members_.size(); ++i) {
    LoopMember& member = *members_[i];
    if (!member.has_finished() || member.has_ended()) continue;
    if (poller_) poller_->remove(member.network().descriptor(), &looks_[i]);
    member.end();
    --running_;
    on_end_(i, member.exit_code());
  }
}

}  // namespace tempest::runtime
