#include "host.hpp"

#include <algorithm>
#include <utility>

#include "simulated_redis.hpp"
#include "simulated_tasks.hpp"
#include "tempest/wire/codec.hpp"
#include "trace.hpp"
#include "world.hpp"

namespace tempest::sim {

namespace {

/// So many steps in a row that want another at once, with nothing new, are a loop that never waits.
constexpr unsigned kMostSpins = 10;
constexpr std::int64_t kMillion = 1'000'000;

enum Boundary : unsigned { before_receive, after_receive, after_turn, within_sends, after_sends };

}  // namespace

Host::Host(World& world, std::size_t index, Role role, unsigned number, double drift,
           MakeShell make_shell)
    : world_(world),
      index_(index),
      role_(role),
      number_(number),
      name_((role == Role::task ? "worker" : to_string(role)) + ("-" + std::to_string(number))),
      drift_ppm_(static_cast<std::int64_t>(drift * kMillion)),
      offset_(seconds(1 + world.random().below(100'000))),
      make_shell_(std::move(make_shell)),
      stutter_(world.random().next()) {}

// --- Time ----------------------------------------------------------------------------------------

TimePoint Host::local(TimePoint time) const {
  const std::int64_t ns = time.time_since_epoch().count();
  return TimePoint(offset_ + Duration(ns + ns / kMillion * drift_ppm_));
}

TimePoint Host::local_now() const {
  return local(world_.now());
}

TimePoint Host::world_time(TimePoint local_time) const {
  if (local_time == kNever) return kNever;
  const std::int64_t ns = (local_time.time_since_epoch() - offset_).count();
  TimePoint guess(Duration(ns / (kMillion + drift_ppm_) * kMillion));
  while (local(guess) < local_time) guess += milliseconds(1);
  return guess;
}

bool Host::is_paused() const {
  return world_.now() < paused_until_;
}

// --- Life and death ------------------------------------------------------------------------------

void Host::start() {
  if (is_alive() || !is_wanted) return;
  ++life_;
  incarnation_ = {world_.random().next(), world_.random().next()};
  inbox_.clear();
  effects_ = {};
  watched_sends_ = 0;
  crash_.reset();
  wake_at_ = kNever;
  paused_until_ = {};
  woken_ = stop_wanted_ = stop_asked_ = stop_at_once_ = false;
  spins_ = 0;
  world_.trace_line(name_, "starts");
  shell_ = make_shell_(*this);
  if (!endpoint_.empty()) world_.network().bind(index_, endpoint_);
  shell_->start(local_now(), effects_);
  shell_->turn(local_now(), effects_);
  carry_out(effects_.sends.size());
  schedule_next();
}

void Host::end() {
  shell_.reset();
  inbox_.clear();
  wake_at_ = kNever;
  world_.watch().died(index_);
  world_.network().died(index_);
}

void Host::crash() {
  if (!is_alive()) return;
  world_.trace_line(name_, "crashes");
  ++world_.counts().crashes;
  end();
}

void Host::crash_soon(unsigned steps, unsigned boundary, double share) {
  if (is_alive()) crash_ = Crash{steps, boundary, share};
}

bool Host::dies_at(unsigned boundary) {
  if (!crash_ || crash_->boundary % 5 != boundary || crash_->steps > 0) return false;
  crash();
  return true;
}

void Host::pause(TimePoint until) {
  if (!is_alive() || is_paused()) return;
  world_.trace_line(name_, "pauses");
  paused_until_ = until;
  ++world_.counts().pauses;
  schedule(until);
}

void Host::stop(bool at_once) {
  if (!is_alive()) return;
  world_.trace_line(name_, at_once ? "is to stop at once" : "is to stop");
  stop_wanted_ = true;
  stop_at_once_ = at_once;
  schedule(world_.now());
}

// --- The loop ------------------------------------------------------------------------------------

void Host::arrive(link::ChannelId channel, std::string routing_id, SharedBytes frame) {
  if (!is_alive()) return;
  inbox_.push_back({channel, std::move(routing_id), std::move(frame)});
  // What comes meanwhile is read in the same step.
  schedule(world_.now() + Duration(static_cast<Duration::rep>(world_.random().below(300'000))));
}

void Host::wake() {
  woken_ = true;
  schedule(world_.now());
}

void Host::later(Duration delay, std::function<void()> action) {
  const std::uint64_t life = life_;
  world_.after(delay, [this, life, action = std::move(action)]() mutable {
    if (life_ != life || !is_alive()) return;
    if (!is_paused()) return action();
    later(paused_until_ - world_.now(), std::move(action));
  });
}

void Host::schedule(TimePoint when) {
  when = std::max({when, paused_until_, world_.now()});
  if (when >= wake_at_) return;
  wake_at_ = when;
  const std::uint64_t life = life_;
  world_.at(when, [this, when, life] {
    if (life_ == life && is_alive() && wake_at_ == when) on_wake();
  });
}

void Host::on_wake() {
  wake_at_ = kNever;
  if (is_paused()) return schedule(paused_until_);
  step();
}

void Host::step() {
  ++world_.counts().steps;
  const TimePoint now = local_now();
  const bool has_news = !inbox_.empty() || woken_ || stop_wanted_;
  if (crash_ && crash_->steps > 0) --crash_->steps;
  if (dies_at(before_receive)) return;
  world_.watch().begin_step();
  if (std::exchange(woken_, false)) shell_->woken(now, effects_);
  if (std::exchange(stop_wanted_, false)) {
    stop_asked_ = true;
    shell_->stop(stop_at_once_, now, effects_);
  }
  // That was decided without what has come in.
  tell_watch(effects_.sends.size());
  world_.watch().begin_step();
  std::swap(inbox_, taken_);
  for (const Arrived& arrived : taken_) {
    if (world_.has_trace()) {
      world_.trace_line(name_, "<- " + arrived.routing_id.substr(0, arrived.routing_id.find('#')) +
                                   " " + describe_frame(arrived.frame.view()));
    }
    world_.watch().received(index_, arrived.frame.view());
    shell_->receive({arrived.channel, arrived.routing_id, arrived.frame}, now, effects_);
  }
  taken_.clear();
  if (dies_at(after_receive)) return;
  shell_->turn(now, effects_);
  if (dies_at(after_turn)) return;
  const std::size_t sends = effects_.sends.size();
  const bool is_within = crash_ && crash_->boundary % 5 == within_sends;
  carry_out(is_within && crash_->steps == 0
                ? static_cast<std::size_t>(crash_->share * static_cast<double>(sends))
                : sends);
  if (!is_alive() || dies_at(within_sends)) return;
  shell_->submit();
  if (!is_alive() || dies_at(after_sends)) return;
  if (const std::string fault = shell_->check(); !fault.empty()) {
    world_.violate("every bound is kept", name_ + ": " + fault);
  }
  spins_ = has_news || shell_->next_turn() > now ? 0 : spins_ + 1;
  if (spins_ > kMostSpins) world_.violate("a node waits", name_ + " never does");
  schedule_next();
}

void Host::tell_watch(std::size_t sends) {
  for (; watched_sends_ < sends; ++watched_sends_) {
    world_.watch().sent(index_, effects_.sends[watched_sends_].frame.view());
  }
}

void Host::carry_out(std::size_t most_sends) {
  Network& network = world_.network();
  const std::string routing_id = name_ + "#" + to_string(incarnation_);
  for (const auto& open : effects_.opens) {
    network.open(index_, open.channel, open.endpoint, routing_id);
  }
  for (std::size_t i = 0; i < most_sends; ++i) {
    auto& send = effects_.sends[i];
    if (world_.scenario().stutters) send.frame = stutter_.add_to(send.frame);
    if (world_.has_trace()) {
      world_.trace_line(name_, "-> " + send.routing_id.substr(0, send.routing_id.find('#')) + " " +
                                   describe_frame(send.frame.view()));
    }
    world_.trace().mix(index_ << 32 ^ send.frame.size());
    tell_watch(i + 1);
    network.send(index_, send);
  }
  watched_sends_ = 0;
  for (const auto channel : effects_.closes) network.close(index_, channel);
  for (const auto& notice : effects_.notices) {
    const bool is_loss = notice.text == "task lost" && notice.level == link::Notice::Level::warning;
    if (is_loss) world_.ledger().worker_lost();
    if (!world_.has_trace()) continue;
    std::string text = "log: " + notice.text;
    for (const link::Field& field : notice.fields) text += " " + field.name + "=" + field.value;
    world_.trace_line(name_, text);
  }
  for (const auto& publication : effects_.publications) {
    wire::Sightings sightings;
    if (!wire::decode(publication.body, sightings) || !publication.topic.starts_with("watch/")) {
      world_.violate("what is published can be read", name_ + " at " + publication.topic);
    }
    world_.trace().mix(publication.body.size());
    world_.counts().sightings += sightings.sightings.size();
  }
  const bool is_finished = effects_.finished;
  const int exit_code = effects_.exit_code;
  effects_.opens.clear();
  effects_.sends.clear();
  effects_.closes.clear();
  effects_.notices.clear();
  effects_.publications.clear();
  if (!is_finished) return;
  world_.trace_line(name_, "ends");
  const bool may_end = stop_asked_ || (role_ == Role::source && world_.ends_by_draining());
  if (exit_code != 0 || !may_end) {
    world_.violate("no node ends by itself", name_ + " with " + std::to_string(exit_code));
  }
  end();
}

void Host::schedule_next() {
  const TimePoint next = world_time(shell_->next_turn());
  if (next == kNever) return;
  // A poll waits in whole milliseconds.
  const Duration late(static_cast<Duration::rep>(world_.random().below(1'000'000)));
  schedule(std::max(next, world_.now()) + late);
}

void Host::inside(const std::function<void()>& call) {
  Surroundings& here = Surroundings::current;
  here = {};
  here.scenario = &world_.scenario();
  here.ledger = &world_.ledger();
  here.random = &world_.random();
  here.faults = world_.has_faults();
  here.hangs_next = &world_.hangs_next;
  here.started = local_now();
  SimulatedRedis::current = &world_.redis();
  SimulatedRedis::reachable = reaches_redis;
  const bool dies_here = crash_ && crash_->steps == 0 && crash_->boundary >= 5;
  SimulatedRedis::commands_left = dies_here ? crash_->boundary % 5 : ~0ULL;
  call();
  SimulatedRedis::current = nullptr;
  // The process died in the middle of it: at once, as seen from outside.
  if (!dies_here && !here.dies) return;
  if (!dies_here) world_.start_later(*this);
  crash_ = Crash{0, before_receive, 0};
  schedule(world_.now());
}

}  // namespace tempest::sim
