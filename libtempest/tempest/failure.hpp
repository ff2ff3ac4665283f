#pragma once

#include <cstdint>
#include <string_view>

#include "tempest/base/result.hpp"
#include "tempest/base/settings.hpp"
#include "tempest/base/time.hpp"
#include "tempest/declarations.hpp"
#include "tempest/library.hpp"

/// What a user includes to decide about failures with code of one's own: docs/delivery.md.
namespace tempest {

enum class FailureCause : std::uint8_t {
  error,         ///< A task returned an error, or threw.
  timeout,       ///< The message was worked on for longer than its timeout.
  task_timeout,  ///< A call took longer than its task's timeout.
  worker_lost,   ///< Its worker died while it was being handled, too often.
  expired,       ///< It has become older than max_age.
  too_large,     ///< It, or what it was joined to, is more than a frame holds.
  never_done,    ///< The source gave it out max_attempts times, and it was never done.
  too_many,      ///< More deliveries came of it than one message may have.
};

/// A message for which the topology's policy would do no more. The views are good only for the
/// call.
struct Failure {
  std::string_view payload;  ///< As it was read.
  std::string_view key;
  std::string_view source;           ///< The source's name for it, such as a stream entry's id.
  std::string_view failing_payload;  ///< What the failing task was given; empty if not known.
  FailureCause cause = FailureCause::error;
  std::string_view task;  ///< The failing one; empty if not known.
  std::string_view worker;
  std::string_view reason;
  std::uint32_t delivery_attempts = 0;  ///< Of that task's delivery.
  std::uint32_t attempts = 1;           ///< Of the message as a whole, this one included.
  Duration age{};                       ///< Since it was read.
};

/// What is to become of it.
struct FailureChoice {
  enum class Action : std::uint8_t {
    by_policy,    ///< What [failure] says.
    retry,        ///< The whole message is sent again.
    dead_letter,  ///< Written to the dead letters, then acked; left where there are none.
    ack,          ///< Acked, as if it were done.
    leave,        ///< Left unacked at the source.
  };
  Action action = Action::by_policy;
  /// With retry: not before this has passed. Zero: by the topology's backoff.
  Duration after{0};
};

/// Decides what becomes of messages that have failed. One instance, in the source node, which calls
/// it from one thread, the one that reads and acks: what it does there for long holds these up.
class FailureHandler {
 public:
  virtual ~FailureHandler() = default;

  /// Called once, before anything else, with the `config` table of [failure] handler.
  virtual Result<void> configure(const Settings& /*config*/) { return {}; }

  /// Says which settings it takes: see Declarations.
  virtual void declare(Declarations& /*about*/) const {}

  /// Once for each message that has failed: when its attempts are used up, or it has failed for
  /// good; again if it is retried and fails again. An exception counts as by_policy, and is
  /// reported.
  virtual FailureChoice choose(const Failure& failure) = 0;
};

}  // namespace tempest
