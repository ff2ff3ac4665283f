#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "tempest/link/link.hpp"
#include "tempest/link/node.hpp"
#include "tempest/wire/frames.hpp"

namespace tempest::watch {

/// The watch that a sighting is for.
inline std::uint32_t watch_of(std::uint64_t message) {
  return static_cast<std::uint32_t>(message >> 32);
}
/// Where what is seen for a watch is published.
std::string topic_of(std::uint32_t watch);

/// In microseconds; not below zero.
std::uint64_t microseconds(Duration duration);

/// What a node has seen for watches and is about to publish. Bounded: what there is no room for is
/// counted, and the count published.
class SightingLog {
 public:
  /// How many sightings, and bytes of theirs, are published at once.
  static constexpr std::size_t kMaxSightings = 4'096;
  static constexpr std::size_t kMaxBytes = 1ULL << 20;

  explicit SightingLog(const link::Identity& self);

  void add(wire::Sighting sighting);
  /// All of them; empties the list.
  void add(std::vector<wire::Sighting>& sightings);
  /// Of this watch's messages so much was not said, or not marked at all.
  void leave_out(std::uint32_t watch, std::uint64_t count);
  /// How many messages a watch has chosen from here, and how many it has passed over, so far.
  void set_seen(std::uint32_t watch, std::uint64_t seen, std::uint64_t passed_over) {
    State& state = states_[watch];
    state.counts_changed = state.counts_changed || state.seen != seen;
    state.seen = seen;
    state.passed_over = passed_over;
  }

  /// Publishes what there is: a frame for each watch. Once a second also what has only been
  /// counted.
  void publish(TimePoint now, link::Effects& effects);
  /// Forgets what is counted for all but these.
  void keep(const std::vector<wire::Watch>& watches);

 private:
  struct State {
    std::uint64_t sequence = 0;
    std::uint64_t seen = 0;
    std::uint64_t passed_over = 0;
    std::uint64_t left_out = 0;
    TimePoint published_at{};
    bool counts_changed = false;
  };

  void publish(std::uint32_t watch, State& state, std::vector<wire::Sighting> sightings,
               TimePoint now, link::Effects& effects) const;

  link::Identity self_;
  std::vector<wire::Sighting> sightings_;
  std::size_t bytes_ = 0;
  std::map<std::uint32_t, State> states_;
};

}  // namespace tempest::watch
