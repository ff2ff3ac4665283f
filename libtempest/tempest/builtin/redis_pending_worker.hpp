#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include "tempest/builtin/redis_server_features.hpp"
#include "tempest/runtime/redis.hpp"
#include "tempest/source.hpp"

namespace tempest::builtin {

/// What is to become of pending entries that nobody is working on: the first rule that fits one
/// decides.
struct PendingRule {
  enum class Action : std::uint8_t {
    claim,   ///< Read by this source, as if new.
    ack,     ///< Acked unread.
    remove,  ///< Acked, and deleted from the stream.
    move,    ///< Written elsewhere in the same Redis, then acked, in one transaction.
  };
  enum class Target : std::uint8_t { stream, list, sorted_set };

  Duration min_idle{0};  ///< Since it was last given to a consumer.
  std::uint64_t min_deliveries = 0;
  Action action = Action::claim;
  Target target = Target::stream;
  std::string target_key;
};

/// Looks after a consumer group's pending entries, through the connection of the source that owns
/// it, and in its thread. Never takes what this source holds: it knows that by hold() and let_go(),
/// and keeps such entries from looking idle to others' workers, however long they take.
///
/// A pass walks all pending entries, a page at a time, and remembers where it was. It judges each
/// by how idle it was when the pass began, so that what was read in order is claimed in order.
class RedisPendingWorker {
 public:
  struct Options {
    std::string key;
    std::string group;
    std::string consumer;
    std::vector<PendingRule> rules;  ///< At least one.
  };

  /// `connection` outlives this.
  RedisPendingWorker(Options options, runtime::RedisConnection& connection);

  void set_features(const RedisFeatures& features) { features_ = features; }

  void hold(const SourceToken& token) { held_.insert(token); }
  void let_go(std::span<const SourceToken> tokens);

  /// Half a pass or more (a bounded number of entries). While `own_unread`, the consumer's own
  /// entries are left alone: the source is still reading them. Errors: the connection's.
  Result<void> work(bool own_unread, SourceTended& done);

  /// Fails (`configuration`) if a key that entries are to be moved to holds something else.
  Result<void> look_at_targets();

  bool has_claims() const { return !claims_.empty(); }
  /// The group is gone, and with it all that was found in it.
  void forget_claims();
  /// True if some entry is pending that a rule may apply to, now or once it is idle for long
  /// enough; but for those in `left`. For a time when the source holds nothing.
  Result<bool> has_claimable(const std::set<SourceToken>& left);
  /// What a person should be told; empty if nothing.
  std::string take_warning() { return std::exchange(warning_, {}); }
  /// Up to `count` of the entries that work() found to be claimed, as XCLAIM replies them.
  /// Those that are gone for good are acked away and added to `lost`.
  Result<runtime::RedisReply> claim(std::size_t count, std::uint64_t& lost);

  /// How long a pass may wait after the last.
  Duration interval() const;

 private:
  struct TokenHash {
    std::size_t operator()(const SourceToken& token) const {
      return (token.high * 0x9e3779b97f4a7c15ULL) ^ token.low;
    }
  };
  using Tokens = std::vector<SourceToken>;

  /// Of one page; true if it was the last.
  Result<bool> sort_page(bool own_unread);
  void sort_entry(const SourceToken& token, bool own, Duration idle, std::uint64_t deliveries,
                  bool own_unread);
  const PendingRule* rule_for(Duration idle, std::uint64_t deliveries) const;
  Result<void> carry_out(SourceTended& done);
  Result<void> keep_held(SourceTended& done);
  /// Keeps all that is held, where the pass does not come to it soon enough.
  Result<void> refresh_held(SourceTended& done);
  /// A server's clock that was set back lets all idle times stand still: finds that out.
  Result<void> look_at_clock();
  /// Lets the idle times of entries begin anew that were given out in the server's future.
  Result<void> mend_idle_times(SourceTended& done);
  /// XCLAIM by id: only what is still as idle as it was, so that no one else has it.
  Result<runtime::RedisReply> take(const Tokens& tokens, Duration min_idle, bool ids_only);
  Result<void> discard(const PendingRule& rule, const Tokens& tokens, SourceTended& done);
  Result<void> move(const PendingRule& rule, const Tokens& tokens, SourceTended& done);
  /// True if a script cannot hold all that is to be written.
  static bool is_long(const PendingRule& rule, runtime::RedisValue entry);
  Result<void> move_long(const PendingRule& rule, runtime::RedisValue entry);
  Result<void> append_move(const PendingRule& rule, runtime::RedisValue entry);
  /// Of these: how many are no longer in the stream; they are acked.
  Result<std::uint64_t> settle_gone(const Tokens& unknown);
  /// The same for those that were asked for and not got.
  Result<std::uint64_t> settle_missing(const Tokens& asked, runtime::RedisValue got);
  Result<void> remove_consumers(SourceTended& done);
  /// A transaction's replies, all checked.
  Result<void> finish_transaction(std::size_t commands);

  Options options_;
  runtime::RedisConnection& connection_;
  RedisFeatures features_;
  Duration shortest_idle_;
  Duration longest_idle_;

  std::unordered_set<SourceToken, TokenHash> held_;
  SourceToken cursor_;
  TimePoint pass_began_ = TimePoint::min();
  Duration pass_age_{0};  ///< When the page at hand was looked at; zero for the first.
  std::map<SourceToken, Duration> claims_;  ///< And how idle they must still be.
  Tokens to_keep_;
  TimePoint refreshed_at_ = TimePoint::min();
  /// The server's clock less this machine's, at least.
  std::optional<Duration> clock_offset_;
  bool is_mending_ = true;                                    ///< This pass looks at all entries.
  std::vector<std::pair<SourceToken, std::string>> to_mend_;  ///< With the consumer of each.
  std::string warning_;
  std::vector<Tokens> by_rule_;  ///< To ack, remove or move.
};

}  // namespace tempest::builtin
