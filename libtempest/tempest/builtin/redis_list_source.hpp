#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "tempest/base/random.hpp"
#include "tempest/builtin/redis_session.hpp"
#include "tempest/source.hpp"

namespace tempest::builtin {

/// A Redis list as a reliable queue: producers RPUSH, and what was taken stays in Redis until it is
/// acked. Every step is one script, so a death at any moment loses nothing.
///
/// An element that is taken gets an id that no other ever had or will have, whatever the server
/// forgets. Beside the list KEY there are then
///
///     KEY:payloads          id -> element, until it is acked
///     KEY:attempts          id -> how often it was tried in vain
///     KEY:deaths            id -> how often a reader ended without a word while it had it
///     KEY:processing:NAME   the ids that the reader NAME has (a sorted set, by when it got them)
///     KEY:delayed           ids to be given again, by the time in ms when
///     KEY:readers, KEY:lease:NAME   who reads, and who of them is alive
class RedisListSource : public Source {
 public:
  struct Options {
    runtime::RedisAddress address;
    runtime::RedisTimeouts timeouts;
    std::string key;
    std::string consumer;
    Duration lease = std::chrono::seconds(30);
    Duration retry_delay = std::chrono::seconds(10);
    bool ack_in_batches = true;
    bool acks = true;  ///< False: what is given out is forgotten at once.
  };

  explicit RedisListSource(Options options);

  Result<void> open() override;
  Result<void> poll(std::size_t max_messages, Duration wait, SourceBatch& batch) override;
  Result<void> ack(std::span<const SourceToken> tokens) override;
  Result<bool> write_and_ack(Sink& sink, std::span<const Message> messages,
                             std::span<const SourceToken> tokens) override;
  Result<void> leave(std::span<const SourceToken> tokens) override;
  Result<void> give_back(std::span<const SourceToken> tokens) override;
  Result<bool> drained() override;
  Duration tend_interval() const override { return options_.lease / 4; }
  Result<void> tend(SourceTended& done) override;
  void abandon() override { session_.connection().abandon(); }
  std::vector<std::string> take_warnings() override { return session_.take_warnings(); }
  bool gives_again() const override { return options_.acks; }
  std::string describe(const SourceToken& token) const override;

 private:
  Result<runtime::RedisReply> run(std::string_view script, std::span<const std::string> arguments);
  /// Runs a script for the texts `first` and the tokens' ids, a thousand at a time.
  Result<void> run_for(std::string_view script, std::span<const SourceToken> tokens,
                       const std::vector<std::string>& first);
  Result<void> look_at_key();
  /// What this reader has: of an earlier life it is to be given again, of this one it is read
  /// again.
  Result<void> look_at_own();
  Result<void> poll_own(std::size_t count, SourceBatch& batch);
  Result<std::size_t> poll_new(std::size_t count, SourceBatch& batch);
  Result<void> wait_for_elements(Duration wait);
  Result<std::size_t> take_rows(runtime::RedisValue rows, SourceBatch& batch);
  Result<void> take_row(runtime::RedisValue row, SourceBatch& batch);
  /// How many messages this reader may have now.
  std::uint64_t most_out() const;
  /// A reply that was cut off may have been more than the server would send.
  void ask_for_less();

  Options options_;
  RedisSession session_;
  runtime::RedisConnection& connection_;
  Random random_;
  bool key_known_ = false;
  bool can_wait_ = true;  ///< The server has BLMOVE.
  bool opened_before_ = false;
  std::vector<std::string> own_;  ///< Ids to be read again.
  std::size_t own_read_ = 0;
  std::size_t poll_bytes_;
  /// Messages that may be out among so many only.
  std::map<SourceToken, std::uint64_t> suspects_;
  /// Of those in KEY:delayed: what the node has left, having done with it.
  std::set<SourceToken> left_;
  std::string fault_;
};

}  // namespace tempest::builtin
