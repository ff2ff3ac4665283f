#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "tempest/builtin/redis_session.hpp"
#include "tempest/source.hpp"

namespace tempest::builtin {

/// What XINFO tells of a stream and one of its groups, as far as it tells that.
struct StreamFacts {
  std::optional<std::uint64_t> added;  ///< Entries, ever.
  std::optional<std::uint64_t> read;   ///< Of these, by the group, if its count is worth anything.
  std::uint64_t length = 0;
  std::optional<SourceToken> first;  ///< Nothing: it has no entries.
  SourceToken last_added;
  SourceToken last_read;  ///< By the group.
};

/// How many entries a group has never read and never will, since they were trimmed or deleted
/// before: nothing where that cannot be told now. Counts from the group's beginning.
std::optional<std::uint64_t> entries_lost_unread(const StreamFacts& facts);

/// A stream's consumer group, as one source sees it: makes it where it is missing, and looks at
/// what would be passed over in silence: entries that were trimmed unread, and entries that nobody
/// will be given again. Through the session of the source, and in its thread.
class RedisStreamGroup {
 public:
  struct Options {
    RedisReader reader;
    std::string start;      ///< Where a group begins that is made for the first time.
    bool is_swept = false;  ///< There are rules for what others left pending.
  };

  /// `session` outlives this.
  RedisStreamGroup(Options options, RedisSession& session);

  /// Makes the group if it is not there, however that was learnt: at `start` as long as this source
  /// has never seen it; afterwards at 0, since nobody knows what was read. Asks first, by a command
  /// that a reader must be allowed anyway. Errors: `configuration` for a key that is no stream, a
  /// server without streams, a wrong `start`, and what is not allowed.
  Result<void> ensure();

  /// Fails as the source's acks would, if they are not allowed.
  Result<void> try_ack();

  /// Every few seconds (`at_once`: now): what was lost since the last time, and warns of
  /// that; and of entries at consumers that nobody hears of.
  Result<std::uint64_t> look(bool at_once);

 private:
  Result<bool> is_there();
  Result<void> create();
  Result<std::optional<StreamFacts>> ask_facts();
  Result<std::uint64_t> look_for_loss();
  Result<void> look_for_abandoned();
  std::string shown() const;

  Options options_;
  RedisSession& session_;
  bool seen_ = false;
  TimePoint look_at_{};
  std::optional<std::uint64_t> lost_before_;  ///< Of the group's life, at the last look.
  std::uint64_t read_before_ = 0;
  std::uint64_t lost_ = 0;  ///< Since this source began.
  TimePoint tell_loss_at_{};
  bool looked_for_abandoned_ = false;
  TimePoint look_for_abandoned_at_{};
  TimePoint tell_abandoned_at_{};
  std::map<std::string, std::int64_t> told_;  ///< By consumer: how many were pending.
};

}  // namespace tempest::builtin
