#include "source_node/read_pace.hpp"

#include <algorithm>

namespace tempest::source_node {

namespace {

constexpr Duration kMaxBusyBlock = std::chrono::milliseconds(1);

// A frame and the wake-ups that it causes cost some hundred times what a message does: so many come
// within the time of one poll that waiting this long for more, less than a message takes on its
// way, saves most of that. Below the first number messages come too seldom to wait for, above the
// second, or with so many bytes, a frame is worth sending.
constexpr std::uint64_t kFewMessages = 8;
constexpr std::uint64_t kManyMessages = 256;
constexpr std::uint64_t kManyBytes = 64ULL << 10;
constexpr Duration kGatherTime = std::chrono::microseconds(300);

// A source that says a message is due, and then has none, is not asked as often as can be.
constexpr Duration kShortestQuiet = std::chrono::microseconds(100);

}  // namespace

ReadPace::ReadPace(const SourceDefinition& definition)
    : definition_(definition),
      empty_wait_(definition.poll_interval, definition.max_backoff),
      wait_(empty_wait_.take()) {}

void ReadPace::set_bounds(const SourceDefinition& definition) {
  definition_ = definition;
  empty_wait_ = DoublingWait(definition.poll_interval, definition.max_backoff);
  wait_ = empty_wait_.take();
}

bool ReadPace::has_room(const Load& load) const {
  // Near the bound a poll would bring a handful of messages for the price of a thousand: wait until
  // an eighth is free, unless a full poll needs less.
  const std::uint64_t enough =
      std::max<std::uint64_t>(1, std::min(definition_.read_count, definition_.max_pending / 8));
  return load.messages + enough <= definition_.max_pending &&
         load.bytes < definition_.max_pending_bytes;
}

std::optional<PollRequest> ReadPace::next(const Load& load, TimePoint now) {
  if (now < poll_at_ || !has_room(load)) return std::nullopt;
  polled_at_ = now;
  const std::uint64_t room = definition_.max_pending - load.messages;
  const std::uint64_t room_by_bytes =
      (definition_.max_pending_bytes - load.bytes) / std::max<std::uint64_t>(1, average_bytes_);
  PollRequest poll;
  poll.max_messages = std::max<std::uint64_t>(
      1, std::min({definition_.read_count, room, std::max<std::uint64_t>(1, room_by_bytes)}));
  asked_ = poll.max_messages;
  const Duration block = definition_.block;
  poll.wait = std::min(wait_, load.messages == 0 ? block : std::min(block, kMaxBusyBlock));
  return poll;
}

void ReadPace::polled(std::uint64_t messages, std::uint64_t bytes, TimePoint quiet_until,
                      TimePoint now) {
  quiet_until_ = quiet_until;
  if (messages > 0) {
    if (bytes > 0) average_bytes_ = bytes / messages;
    empty_wait_.reset();
    wait_ = empty_wait_.take();
    const bool is_worth_gathering = messages >= kFewMessages && messages < kManyMessages &&
                                    messages < asked_ && bytes < kManyBytes;
    poll_at_ = is_worth_gathering ? std::max(now, polled_at_ + kGatherTime) : now;
    poll_at_ = std::max(poll_at_, quiet_until);
  } else if (quiet_until > TimePoint{}) {
    poll_at_ = std::max({now, quiet_until, polled_at_ + kShortestQuiet});
  } else {
    poll_at_ = std::max(now, polled_at_ + wait_);
    wait_ = empty_wait_.take();
  }
}

}  // namespace tempest::source_node
