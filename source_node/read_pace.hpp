#pragma once

#include <cstdint>
#include <optional>

#include "source_node/requests.hpp"
#include "source_node/waits.hpp"
#include "tempest/base/time.hpp"
#include "tempest/topology.hpp"

namespace tempest::source_node {

/// When the source is polled, and for how much. After messages: at once, as long as there is room
/// for more; but where a poll brings some dozens, and not all that it asked for, the next one waits
/// for a moment, since messages come faster than their frames are worth. After an empty poll:
/// poll_interval after that poll began, then twice as long, up to max_backoff and never longer.
///
/// A poll may block for a part of that wait, so that a message is seen as it arrives. While
/// messages are pending that part is short: acks wait behind the poll. A source that knows when its
/// next message comes is polled then, and neither sooner nor later.
class ReadPace {
 public:
  /// What is held now.
  struct Load {
    std::uint64_t messages = 0;
    std::uint64_t bytes = 0;
  };

  explicit ReadPace(const SourceDefinition& definition);

  /// New bounds; the wait under way stays.
  void set_bounds(const SourceDefinition& definition);

  /// True if there is room to read more.
  bool has_room(const Load& load) const;
  /// The poll to make now, if it is time for one and there is room.
  std::optional<PollRequest> next(const Load& load, TimePoint now);
  /// A poll has brought this, and nothing more will come until then, if the source has said when.
  /// Nothing: wait longer.
  void polled(std::uint64_t messages, std::uint64_t bytes, TimePoint quiet_until, TimePoint now);
  /// The last pending message is done: polls may block from now on, so the wait is cut short.
  void became_idle(TimePoint now) { poll_at_ = std::max(std::min(poll_at_, now), quiet_until_); }

  TimePoint poll_at() const { return poll_at_; }

 private:
  SourceDefinition definition_;
  DoublingWait empty_wait_;
  std::uint64_t asked_ = 0;          ///< By the last poll.
  Duration wait_;                    ///< After the next poll, if it is empty; from its beginning.
  TimePoint polled_at_{};            ///< When the last poll began.
  TimePoint poll_at_{};              ///< When the next one may.
  TimePoint quiet_until_{};          ///< As the source has said.
  std::uint64_t average_bytes_ = 0;  ///< Of a message, in what was read last.
};

}  // namespace tempest::source_node
