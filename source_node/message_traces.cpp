#include "source_node/message_traces.hpp"

#include <algorithm>
#include <utility>

namespace tempest::source_node {

using Kind = wire::Sighting::Kind;

namespace {

int choosiness(const wire::Watch& watch) {
  return (watch.message.empty() ? 0 : 2) + (watch.text.empty() ? 0 : 1);
}

}  // namespace

// Numbers begin at a place of this life's own, so that those of several sources do not meet.
MessageTraces::MessageTraces(const link::Identity& self)
    : first_number_(static_cast<std::uint32_t>(self.incarnation.low >> 16)), log_(self) {}

void MessageTraces::set(const std::vector<wire::Watch>& watches) {
  std::vector<Watched> wanted;
  for (const wire::Watch& watch : watches) {
    if (watch.kind != wire::Watch::Kind::trace) continue;
    const auto known = std::find_if(watches_.begin(), watches_.end(),
                                    [&](const Watched& one) { return one.watch == watch; });
    wanted.push_back(known != watches_.end() ? std::move(*known)
                                             : Watched{watch, watch::Sampler(watch)});
  }
  // Who looks for one message must not miss it because another takes whatever comes.
  std::stable_sort(wanted.begin(), wanted.end(), [](const Watched& left, const Watched& right) {
    return choosiness(left.watch) > choosiness(right.watch);
  });
  watches_ = std::move(wanted);
  log_.keep(watches);
}

bool MessageTraces::wants_names(TimePoint now) const {
  return std::any_of(watches_.begin(), watches_.end(),
                     [now](const Watched& watched) { return watched.sampler.has_room(now); });
}

bool MessageTraces::begin(std::size_t count, TimePoint now) {
  bool any_open = false;
  for (Watched& watched : watches_) {
    watched.open = watched.sampler.begin(count, now);
    any_open = any_open || watched.open;
    log_.set_seen(watched.watch.id, watched.sampler.seen(), watched.sampler.passed_over());
  }
  return any_open;
}

void MessageTraces::consider(std::uint32_t slot, HeldMessage& message, std::string_view name,
                             TimePoint now) {
  for (Watched& watched : watches_) {
    const wire::Watch& watch = watched.watch;
    if (!watched.open || (!watch.message.empty() && watch.message != name)) continue;
    if (!watched.sampler.takes(message.key(), message.payload())) continue;
    if (traced_.size() >= kMaxTraced) {
      log_.leave_out(watch.id, 1);
      continue;
    }
    message.traced = true;
    traced_[slot] = std::uint64_t{watch.id} << 32 | (first_number_ + numbers_++);
    wire::Sighting sighting;
    sighting.message = traced_[slot];
    sighting.kind = Kind::read;
    sighting.text = name;
    sighting.at_us = watch::microseconds(now - message.read_at);
    sighting.key = message.key().substr(0, watch.max_bytes);
    sighting.payload = message.payload().substr(0, watch.max_bytes);
    sighting.payload_bytes = message.payload().size();
    log_.add(std::move(sighting));
    return;
  }
}

std::uint64_t MessageTraces::number_of(std::uint32_t slot) const {
  const auto found = traced_.find(slot);
  return found == traced_.end() ? 0 : found->second;
}

void MessageTraces::say(std::uint32_t slot, const HeldMessage& message, const Event& event,
                        TimePoint now) {
  wire::Sighting sighting;
  sighting.message = number_of(slot);
  sighting.kind = event.kind;
  sighting.next = event.next;
  sighting.failure = event.failure;
  sighting.task = event.task;
  sighting.peer = event.peer;
  sighting.attempt = event.attempts;
  sighting.at_us = watch::microseconds(now - message.read_at);
  sighting.again_us = watch::microseconds(event.again);
  sighting.text = event.text;
  log_.add(std::move(sighting));
}

void MessageTraces::end(std::uint32_t slot, HeldMessage& message, const Event& event,
                        TimePoint now) {
  say(slot, message, event, now);
  message.traced = false;
  traced_.erase(slot);
}

void MessageTraces::publish(TimePoint now, link::Effects& effects) {
  log_.publish(now, effects);
}

}  // namespace tempest::source_node
