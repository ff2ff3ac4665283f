#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "tempest/base/ids.hpp"
#include "tempest/base/time.hpp"
#include "tempest/wire/frames.hpp"

namespace tempest::cli {

/// Something that a node said of a traced message.
struct TraceStep {
  std::string node;
  Role role{};
  wire::Sighting sighting;
  TimePoint heard_at{};
};

/// One traced message, put together from what nodes have said of it.
struct TracedMessage {
  std::uint64_t number = 0;  ///< In the order of their reads, from 1; 0: not heard of that yet.
  std::string source;        ///< The node that has read it.
  wire::Sighting read;
  std::vector<TraceStep> steps;  ///< Of each node in its order; the read is not among them.
  bool ended = false;
  TimePoint first_heard_at{};
  TimePoint last_heard_at{};

  /// Something went wrong on its way.
  bool has_trouble() const;
};

/// The messages that a trace follows, at most so many at once.
class TraceView {
 public:
  static constexpr std::size_t kMaxOpen = 4'096;
  static constexpr std::size_t kMaxSteps = 4'096;

  /// No more than the first `most` messages; 0: all.
  explicit TraceView(std::uint64_t most) : most_(most) {}

  void take(wire::Sightings sightings, TimePoint now);
  /// Those that have ended, and of which nothing has been heard for `quiet`: other nodes may still
  /// have something to say of them.
  std::vector<TracedMessage> take_ended(TimePoint now, Duration quiet);
  /// All that are left.
  std::vector<TracedMessage> take_rest();
  /// How many have been begun.
  std::uint64_t begun() const { return begun_; }

 private:
  void take(const wire::Sightings& said, wire::Sighting sighting, TimePoint now);

  std::uint64_t most_;
  std::uint64_t begun_ = 0;
  std::map<std::uint64_t, TracedMessage> messages_;
};

/// The steps in the order in which they happened, each with its time since the read in
/// microseconds. A node says when something was by its own clock; what a coordinator says is set
/// against the moment in which the message was sent to it.
std::vector<std::pair<std::uint64_t, const TraceStep*>> in_order(const TracedMessage& message);

/// Several lines, for people.
std::string trace_text(const TracedMessage& message, TimePoint now);
/// One line.
std::string trace_json(const TracedMessage& message, const std::string& topology, TimePoint now);

}  // namespace tempest::cli
