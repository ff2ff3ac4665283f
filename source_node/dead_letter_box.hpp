#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "source_node/requests.hpp"
#include "source_node/waits.hpp"

namespace tempest::source_node {

/// Dead letters on their way to the sink: while one batch is being written the next gathers. What
/// could not be written is kept and written again.
class DeadLetterBox {
 public:
  /// `slot`: the message's place in the store, given back once its letter is written.
  void add(std::uint32_t slot, DeadLetter letter);

  std::optional<DeadLetterRequest> next(TimePoint now);
  /// The batch is written for good: its messages' places.
  std::vector<std::uint32_t> written();
  /// It is not. True if that is news.
  bool failed(TimePoint now);

  bool empty() const { return gathering_.empty() && !batch_; }
  AwayWatch& sink() { return sink_; }
  TimePoint next_turn() const { return batch_ && !out_ ? sink_.retry_at() : kNever; }

 private:
  DeadLetters gathering_;
  std::vector<std::uint32_t> gathering_slots_;
  std::shared_ptr<const DeadLetters> batch_;  ///< Being written, or to be written again.
  std::vector<std::uint32_t> batch_slots_;
  bool out_ = false;
  AwayWatch sink_;
};

/// Failed messages that the failure handler is asked about: while it is at some of them the next
/// gather.
class FailureBox {
 public:
  struct Failed {
    std::uint32_t slot;
    DeadLetter letter;
  };

  void add(std::uint32_t slot, DeadLetter letter);
  std::optional<ChooseRequest> next();
  /// The handler has said what becomes of them: all that it was asked about, in that order.
  std::vector<Failed> answered();

 private:
  std::vector<std::uint32_t> slots_;
  DeadLetters gathering_;
  std::vector<std::uint32_t> slots_out_;
  std::shared_ptr<DeadLetters> out_;  ///< Null: it is asked nothing now.
};

/// What is known of the failed attempts of messages that are still held.
class AttemptLedger {
 public:
  void add(std::uint32_t slot, FailedAttempt attempt);
  /// All of them, oldest first; forgets them.
  std::vector<FailedAttempt> take(std::uint32_t slot);
  bool empty() const { return attempts_.empty(); }

 private:
  std::map<std::uint32_t, std::vector<FailedAttempt>> attempts_;
};

}  // namespace tempest::source_node
