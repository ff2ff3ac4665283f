#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "source_node/plan.hpp"
#include "tempest/base/result.hpp"
#include "tempest/base/time.hpp"
#include "tempest/failure.hpp"
#include "tempest/source.hpp"
#include "tempest/wire/frames.hpp"

/// What the machine asks of whoever owns the source and the dead-letter sink (source_io.hpp, or a
/// test), and what comes back. Requests are served in order, except that a poll may come after
/// those that wait with it; of each kind one at most is out.
namespace tempest::source_node {

/// Bounds the memory of one request; the rest follows in the next.
inline constexpr std::size_t kMaxRequestTokens = 16'384;

/// One end of a message's tree that was no success.
struct FailedAttempt {
  wire::FailureKind kind{};
  std::string task;
  std::string worker;
  std::string reason;
  std::uint32_t delivery_attempts = 0;  ///< How often the coordinator tried that delivery.
  TimePoint at{};

  /// What it takes up.
  std::size_t size_bytes() const {
    return sizeof(FailedAttempt) + task.size() + worker.size() + reason.size();
  }
};

/// Everything that is known of a message that the policy would not try again.
struct DeadLetter {
  std::string topology;
  std::string version;
  SourceToken token;
  std::string payload;
  std::string key;
  std::string failing_payload;  ///< What the failing task was given; empty if not known.
  TimePoint read_at{};
  std::vector<FailedAttempt> attempts;  ///< The last one is the end.
  std::string replayed = {};            ///< SourceMessage::replayed.
  bool unreadable = false;  ///< It had a SourceMessage::fault: the payload is not all of it.
  /// How often it was tried as a whole; `attempts` has only the last of them, and the
  /// coordinator's.
  std::uint32_t attempt = 1;

  /// What it takes up.
  std::size_t size_bytes() const;
};

using DeadLetters = std::vector<DeadLetter>;

/// Makes the plan's source and sink anew, in place of those there are, and opens the source.
struct OpenRequest {
  std::shared_ptr<const Plan> plan;
};
struct PollRequest {
  std::size_t max_messages = 0;
  Duration wait{0};
  /// What the source calls each is wanted as well. (Of a small batch it is given in any case, so
  /// that a trace that begins while a poll waits for a message has the name of that one.)
  bool with_names = false;
  /// To be filled: empty, with the memory of one that was read before.
  SourceBatch batch = {};
};
struct AckRequest {
  std::vector<SourceToken> tokens;
};
struct DeadLetterRequest {
  std::shared_ptr<const DeadLetters> letters;
};
/// Of messages that are given up without an ack.
struct LeaveRequest {
  std::vector<SourceToken> tokens;
  bool untried = false;  ///< The node ends, and has not begun them.
};
struct TendRequest {};
/// Source::drained().
struct DrainedRequest {};
/// What is to become of these, in the failure handler's opinion?
struct ChooseRequest {
  std::shared_ptr<const DeadLetters> failed;
};
using Request = std::variant<OpenRequest, PollRequest, AckRequest, DeadLetterRequest, LeaveRequest,
                             TendRequest, ChooseRequest, DrainedRequest>;

struct OpenDone {
  Result<void> result;
  std::vector<std::string> warnings;
  bool finite = false;      ///< Source::is_finite().
  bool gives_again = true;  ///< Source::gives_again().
  Duration tend_interval{0};
};
struct PollDone {
  Result<void> result;
  SourceBatch batch;
  std::vector<std::string> warnings;
  std::vector<std::string> names = {};  ///< Source::describe() of each, or none.
  TimePoint quiet_until{};              ///< By SourceBatch::quiet_for; zero: it did not say.
};
struct AckDone {
  Result<void> result;
};
struct DeadLettersDone {
  Result<void> result;
};
struct LeaveDone {
  Result<void> result;
};
struct TendDone {
  Result<void> result;
  SourceTended tended;
};
struct DrainedDone {
  Result<bool> drained = false;
};
struct ChooseDone {
  std::vector<FailureChoice> choices;  ///< One for each, in order.
  std::string fault;                   ///< What the handler threw last; empty: nothing.
};
using Response = std::variant<OpenDone, PollDone, AckDone, DeadLettersDone, LeaveDone, TendDone,
                              ChooseDone, DrainedDone>;

}  // namespace tempest::source_node
