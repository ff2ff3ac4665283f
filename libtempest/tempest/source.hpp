#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tempest/base/result.hpp"
#include "tempest/base/settings.hpp"
#include "tempest/base/time.hpp"
#include "tempest/declarations.hpp"
#include "tempest/library.hpp"
#include "tempest/sink.hpp"
#include "tempest/source_batch.hpp"

/// What feeds a topology. Include this to write a source of your own: docs/sources.md.
namespace tempest {

/// What one tend() has done with messages that nobody held any more.
struct SourceTended {
  std::uint64_t discarded = 0;  ///< Acked or deleted unread, as the source was told to.
  std::uint64_t moved = 0;      ///< Put elsewhere, then acked.
  std::uint64_t lost = 0;       ///< As SourceBatch::lost.
  std::uint64_t readers_removed = 0;
};

/// Who reads: what a source may need to be known by, where it reads.
struct SourceReader {
  std::string topology;
  /// The same at each start of this source node, and no other's. Under it a server can keep what
  /// was given out and never acked.
  std::string name;
};

/// Reads messages and acknowledges them. One thread calls it, and it may block there: the node's
/// links are served by another. An Error of code `unavailable` means "away; try again": the node
/// reports it once, backs off and calls again, and everything not acked with success is acked
/// again later. Any other error ends the node with its message;
/// so does an exception.
class Source {
 public:
  virtual ~Source() = default;

  /// Called once, before anything else, with the `config` table of [source]: of those from a
  /// library. Nothing is to be opened yet.
  virtual Result<void> configure(const Settings& /*config*/, const SourceReader& /*reader*/) {
    return {};
  }

  /// Says which settings it takes: see Declarations.
  virtual void declare(Declarations& /*about*/) const {}

  /// Called before the first poll, and again after an `unavailable`.
  virtual Result<void> open() = 0;

  /// Adds up to max_messages that were not given out before (or that are given again after a
  /// lost connection; the node knows those it still holds by their token). Nothing there is
  /// success with an empty batch. Does not wait longer than `wait`: acks wait behind it.
  virtual Result<void> poll(std::size_t max_messages, Duration wait, SourceBatch& batch) = 0;

  /// Acks wait behind the poll that is under way: it is to return soon, with what it has. Called
  /// from another thread, the only such call there is. One that comes before the poll waits, or
  /// just after, may end the wait of the next poll, but of no later one. A source that never waits
  /// for long need not heed it.
  virtual void interrupt() {}

  /// Confirms these for good. Success means that the source has done so. Acking twice is success.
  virtual Result<void> ack(std::span<const SourceToken> tokens) = 0;

  /// Writes `messages[i]` to the sink and acks `tokens[i]`, for all i: each pair in one step, which
  /// a death finds done or not begun. Where source and sink are in one server; false: it cannot,
  /// and who asks is to do it one after the other.
  virtual Result<bool> write_and_ack(Sink& /*sink*/, std::span<const Message> /*messages*/,
                                     std::span<const SourceToken> /*tokens*/) {
    return false;
  }

  /// The node gives these up without acking them: whatever the source does for messages that
  /// nobody is working on, it may do for them now.
  virtual Result<void> leave(std::span<const SourceToken> /*tokens*/) { return {}; }

  /// The node ends in order, and has not begun these: they are as they were before they were read.
  /// A source that counts attempts counts none.
  virtual Result<void> give_back(std::span<const SourceToken> /*tokens*/) { return {}; }

  /// Asked when a poll came back empty and the node holds nothing: is nothing left to be done? True
  /// only if nothing is unread, nothing is pending at the source that it may still give out by
  /// itself (what another reader left, say), and nothing waits there to be given again. What
  /// leave() was told of does not count: the node has done with it. Where there is more, polls
  /// bring it, sooner or later. It is what `--exit-when-drained` ends by.
  virtual Result<bool> drained() { return true; }

  /// The process is to end at once, whatever is under way: a call that waits for a server returns
  /// with `unavailable`, and so does each that follows. Called from another thread.
  virtual void abandon() {}

  /// How often tend() wants to be called, whether there is room to read or not. Zero: never.
  virtual Duration tend_interval() const { return Duration::zero(); }
  /// Looks after what is at the source and in no node's hands; adds what it did to `done`.
  virtual Result<void> tend(SourceTended& /*done*/) { return {}; }

  /// What a person should be told that is no error (a Redis that does not keep its data, an entry
  /// too large to be read): each is given once. Asked for after every open() and poll().
  virtual std::vector<std::string> take_warnings() { return {}; }

  /// True if some poll will set `ended`. Any other has no end but drained().
  virtual bool is_finite() const { return false; }

  /// False if what was given out and not acked is gone with this process (standard input, say): it
  /// is lost when the process dies, and whoever supervises it must not take a new start for going
  /// on. Asked after each open().
  virtual bool gives_again() const { return true; }

  /// For log lines and dead letters: "1700000000000-0", "line 17".
  virtual std::string describe(const SourceToken& token) const = 0;
};

}  // namespace tempest
