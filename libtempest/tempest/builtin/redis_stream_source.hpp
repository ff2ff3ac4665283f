#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tempest/builtin/redis_pending_worker.hpp"
#include "tempest/builtin/redis_stream_reader.hpp"
#include "tempest/runtime/redis.hpp"
#include "tempest/source.hpp"

namespace tempest::builtin {

/// A field that `tempest dlq replay` puts on an entry; no part of the message.
inline constexpr std::string_view kReplayedField = "tempest_replayed";

/// A Redis stream, read by a consumer group. What was read stays pending in Redis under this
/// consumer's name until it is acked, so nothing is lost with the process: after every open() the
/// consumer's own pending entries are read first, then new ones.
class RedisStreamSource : public Source {
 public:
  struct Options {
    runtime::RedisAddress address;
    runtime::RedisTimeouts timeouts;
    std::string key;
    std::string group;
    std::string consumer;
    std::string field;      ///< Empty: the payload is all fields, as JSON.
    std::string key_field;  ///< Empty: messages have no key.
    std::string start = "0";
    bool ack_in_batches = true;
    bool acks = true;  ///< False: entries are never pending.
    std::vector<PendingRule> pending;
    std::optional<RedisFeatures> features;  ///< In place of what the server says of itself.
  };

  explicit RedisStreamSource(Options options);

  Result<void> open() override;
  Result<void> poll(std::size_t max_messages, Duration wait, SourceBatch& batch) override;
  Result<void> ack(std::span<const SourceToken> tokens) override;
  Result<bool> write_and_ack(Sink& sink, std::span<const Message> messages,
                             std::span<const SourceToken> tokens) override;
  Result<void> leave(std::span<const SourceToken> tokens) override;
  Duration tend_interval() const override;
  Result<void> tend(SourceTended& done) override;
  std::vector<std::string> take_warnings() override;
  std::string describe(const SourceToken& token) const override;

 private:
  /// Entries that were read, and those of them that have been given out.
  struct Entries {
    runtime::RedisReply reply;
    std::size_t given = 0;

    runtime::RedisValue list() const { return reply.value()[0][1]; }
  };

  /// As RedisStreamReader::read, but a group that is gone is made anew.
  Result<std::optional<runtime::RedisReply>> read(std::string_view from, std::size_t count,
                                                  Duration wait);
  /// Makes entries_ hold something to give out; nothing if there is nothing.
  Result<void> read_new(std::size_t count, Duration wait);
  /// Takes what was read ahead into ahead_, so that the pending worker leaves it alone.
  Result<void> settle();
  Entries held(runtime::RedisReply reply);
  void hold(runtime::RedisValue list);
  /// True if it did not exist.
  Result<bool> create_group(std::string_view start);
  /// Once: what the server lacks, and where it would lose data.
  Result<void> look_at_server();
  Result<void> poll_pending(std::size_t count, SourceBatch& batch);
  Result<void> poll_claims(std::size_t count, SourceBatch& batch);
  /// Appends the messages of `count` entries from `first` on.
  Result<void> take_entries(runtime::RedisValue entries, std::size_t first, std::size_t count,
                            SourceBatch& batch);
  /// The message's views are good until the next.
  void take_fields(runtime::RedisValue fields, SourceMessage& message);
  /// The entry is no message, and why: what a person is to see of it stands in its place.
  void refuse(runtime::RedisValue fields, std::string why, SourceMessage& message);
  Result<void> ack_deleted(SourceBatch& batch);
  Result<void> ack_in_batches(std::span<const SourceToken> tokens);
  Result<void> ack_one_by_one(std::span<const SourceToken> tokens);
  void warn(std::string text);
  void learn_entry_size(std::size_t entries, std::size_t bytes);

  Options options_;
  runtime::RedisConnection connection_;
  RedisStreamReader reader_;
  /// Read, pending in Redis, and not given out yet: the rest of one read, and the next one.
  std::optional<Entries> entries_;
  std::optional<Entries> ahead_;
  bool opened_before_ = false;
  bool server_known_ = false;
  std::optional<RedisPendingWorker> pending_worker_;
  /// Reads its own pending entries after pending_cursor_; after that, new ones.
  bool reading_pending_ = true;
  SourceToken pending_cursor_;
  /// How many entries one read may ask for, so that it stays near kPollTargetBytes.
  std::size_t count_limit_ = 128;
  std::vector<SourceToken> deleted_;
  std::string json_;   ///< An entry as one text.
  std::string fault_;  ///< Of an entry that is no message.
  std::vector<std::string> warnings_;
  /// Reused by ack().
  std::string id_text_;
  std::vector<std::string_view> arguments_;
};

}  // namespace tempest::builtin
