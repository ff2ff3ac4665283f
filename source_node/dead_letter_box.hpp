#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "source_node/requests.hpp"
#include "source_node/waits.hpp"

namespace tempest::source_node {

/// Dead letters on their way to the sink: while one batch is being written the next gathers. What
/// could not be written is kept and written again. A batch has so few bytes that the texts made of
/// it are no burden either.
class DeadLetterBox {
 public:
  /// A batch is closed once it has so much; it may be one letter.
  static constexpr std::size_t kBatchBytes = std::size_t{4} << 20;
  static constexpr std::size_t kBatchLetters = 4'096;

  /// `slot`: the message's place in the store, given back once its letter is written.
  void add(std::uint32_t slot, DeadLetter letter);

  std::optional<DeadLetterRequest> next(TimePoint now);
  /// The batch is written for good: its messages' places.
  std::vector<std::uint32_t> written();
  /// It is not. True if that is news.
  bool failed(TimePoint now);

  bool empty() const { return gathering_.empty() && !batch_; }
  /// Letters that are not written yet, and what they take up.
  std::size_t size() const { return gathering_.size() + batch_slots_.size(); }
  std::size_t bytes() const { return gathering_bytes_ + batch_bytes_; }
  AwayWatch& sink() { return sink_; }
  const AwayWatch& sink() const { return sink_; }
  TimePoint next_turn() const { return batch_ && !out_ ? sink_.retry_at() : kNever; }

 private:
  struct Gathered {
    std::uint32_t slot;
    DeadLetter letter;
  };

  std::deque<Gathered> gathering_;
  std::size_t gathering_bytes_ = 0;
  std::shared_ptr<const DeadLetters> batch_;  ///< Being written, or to be written again.
  std::vector<std::uint32_t> batch_slots_;
  std::size_t batch_bytes_ = 0;
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
  /// What they take up.
  std::size_t bytes() const { return gathering_bytes_ + out_bytes_; }

 private:
  std::vector<std::uint32_t> slots_;
  DeadLetters gathering_;
  std::size_t gathering_bytes_ = 0;
  std::vector<std::uint32_t> slots_out_;
  std::shared_ptr<DeadLetters> out_;  ///< Null: it is asked nothing now.
  std::size_t out_bytes_ = 0;
};

/// What is known of the failed attempts of messages that are still held. Beyond kWholeReasonBytes
/// only the beginnings of reasons are kept, since every message may have kMaxAttemptsKept of them.
class AttemptLedger {
 public:
  static constexpr std::size_t kWholeReasonBytes = std::size_t{4} << 20;
  static constexpr std::size_t kShortReasonBytes = 128;

  void add(std::uint32_t slot, FailedAttempt attempt);
  /// All of them, oldest first; forgets them.
  std::vector<FailedAttempt> take(std::uint32_t slot);
  bool empty() const { return attempts_.empty(); }
  /// What they take up.
  std::size_t bytes() const { return bytes_; }

 private:
  std::map<std::uint32_t, std::vector<FailedAttempt>> attempts_;
  std::size_t bytes_ = 0;
};

}  // namespace tempest::source_node
