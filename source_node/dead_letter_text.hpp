#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "source_node/requests.hpp"

namespace tempest::source_node {

/// One moment on both clocks, to tell the time of others by.
struct Moment {
  TimePoint monotonic;
  std::chrono::system_clock::time_point wall;
};

/// A dead letter as it is written to its sink: one line of JSON (docs/delivery.md says what stands
/// in it). `source_position` is the source's own name for the message. Bytes that are not UTF-8
/// stand in base64, under the key's name with "_base64".
std::string dead_letter_text(const DeadLetter& letter, std::string_view source_position,
                             const Moment& now);

}  // namespace tempest::source_node
