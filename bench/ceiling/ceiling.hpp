#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "tempest/base/result.hpp"

/// What the wires allow: the same messages over the same hops, with none of the work that keeps
/// Tempest's promise. Each is tuned as a user would who wanted nothing but speed.
namespace tempest::ceiling {

struct Settings {
  bool ipc = false;
  std::size_t size_bytes = 100;
  double seconds = 3;
  double warm_up_seconds = 0.5;
  std::size_t batch = 0;   ///< Messages in a frame; 0: what has been found to be best.
  std::size_t window = 0;  ///< Frames under way; 0: likewise.
  bool copies = false;     ///< Relay: the one in the middle copies each message.
  std::string redis = "redis://127.0.0.1:6379/0";
  std::uint64_t count = 500'000;
};

/// Names and values, in the order they are to be shown.
using Numbers = std::vector<std::pair<std::string, double>>;

/// Batches of messages from a source through one in the middle to a worker, whose word that they
/// have come goes back through the middle: three processes, DEALER - ROUTER - DEALER.
Result<Numbers> relay(const Settings& settings);

/// One frame there and back between two processes, and again: a crossing is half of it.
Result<Numbers> ping(const Settings& settings);

/// XREADGROUP and XACK of a stream's entries, pipelined.
Result<Numbers> redis(const Settings& settings);

}  // namespace tempest::ceiling
