#include "tempest/watch/sighting_log.hpp"

#include <algorithm>
#include <utility>

#include "tempest/wire/codec.hpp"

namespace tempest::watch {
namespace {

/// Watches that are not listed (any more) but still seen for: of those no more is remembered.
constexpr std::size_t kMaxStates = 1'024;
constexpr Duration kCountsInterval = std::chrono::seconds(1);

}  // namespace

std::string topic_of(std::uint32_t watch) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string topic = "watch/";
  for (int shift = 28; shift >= 0; shift -= 4) topic += kDigits[(watch >> shift) & 15];
  return topic + "/";
}

std::uint64_t microseconds(Duration duration) {
  if (duration <= Duration::zero()) return 0;
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(duration).count());
}

SightingLog::SightingLog(const link::Identity& self) : self_(self) {}

void SightingLog::add(wire::Sighting sighting) {
  const std::size_t bytes =
      sizeof(wire::Sighting) + sighting.text.size() + sighting.key.size() + sighting.payload.size();
  if (sightings_.size() >= kMaxSightings || bytes_ + bytes > kMaxBytes) {
    return leave_out(watch_of(sighting.message), 1);
  }
  bytes_ += bytes;
  sightings_.push_back(std::move(sighting));
}

void SightingLog::add(std::vector<wire::Sighting>& sightings) {
  for (wire::Sighting& sighting : sightings) add(std::move(sighting));
  sightings.clear();
}

void SightingLog::leave_out(std::uint32_t watch, std::uint64_t count) {
  if (states_.size() < kMaxStates || states_.contains(watch)) states_[watch].left_out += count;
}

void SightingLog::publish(TimePoint now, link::Effects& effects) {
  std::stable_sort(sightings_.begin(), sightings_.end(), [](const auto& left, const auto& right) {
    return watch_of(left.message) < watch_of(right.message);
  });
  if (states_.size() >= kMaxStates) states_.clear();
  for (auto from = sightings_.begin(); from != sightings_.end();) {
    const std::uint32_t watch = watch_of(from->message);
    const auto to = std::find_if(from, sightings_.end(), [watch](const wire::Sighting& sighting) {
      return watch_of(sighting.message) != watch;
    });
    publish(watch, states_[watch], {std::make_move_iterator(from), std::make_move_iterator(to)},
            now, effects);
    from = to;
  }
  sightings_.clear();
  bytes_ = 0;
  for (auto& [watch, state] : states_) {
    if (state.counts_changed && now - state.published_at >= kCountsInterval) {
      publish(watch, state, {}, now, effects);
    }
  }
}

void SightingLog::publish(std::uint32_t watch, State& state, std::vector<wire::Sighting> sightings,
                          TimePoint now, link::Effects& effects) const {
  state.published_at = now;
  state.counts_changed = false;
  wire::Sightings frame;
  frame.node = self_.name;
  frame.role = self_.role;
  frame.topology = self_.topology;
  frame.incarnation = self_.incarnation;
  frame.sequence = ++state.sequence;
  frame.seen = state.seen;
  frame.left_out = state.left_out + state.passed_over;
  frame.sightings = std::move(sightings);
  link::Effects::Publication publication;
  publication.topic = topic_of(watch);
  wire::encode(frame, publication.body);
  effects.publications.push_back(std::move(publication));
}

void SightingLog::keep(const std::vector<wire::Watch>& watches) {
  std::erase_if(states_, [&](const auto& entry) {
    return std::none_of(watches.begin(), watches.end(),
                        [&](const wire::Watch& watch) { return watch.id == entry.first; });
  });
}

}  // namespace tempest::watch
