#pragma once

#include <cstddef>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "tempest/builtin/redis_pending_worker.hpp"
#include "tempest/builtin/redis_session.hpp"
#include "tempest/builtin/redis_stream_group.hpp"
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
  Result<void> give_back(std::span<const SourceToken> tokens) override;
  Result<bool> drained() override;
  Duration tend_interval() const override;
  Result<void> tend(SourceTended& done) override;
  void abandon() override { session_.connection().abandon(); }
  std::vector<std::string> take_warnings() override { return session_.take_warnings(); }
  bool gives_again() const override { return options_.acks; }
  std::string describe(const SourceToken& token) const override;

 private:
  /// Entries that were read, and those of them that have been given out.
  struct Entries {
    runtime::RedisReply reply;
    std::size_t asked = 0;
    std::size_t given = 0;

    runtime::RedisValue list() const { return reply.value()[0][1]; }
    bool is_full() const { return list().size() >= asked; }
  };

  Result<void> poll_any(std::size_t count, Duration wait, SourceBatch& batch);
  Result<void> poll_pending(std::size_t count, SourceBatch& batch);
  Result<void> poll_claims(std::size_t count, SourceBatch& batch);
  Result<void> poll_new(std::size_t count, Duration wait, SourceBatch& batch);
  /// Makes entries_ hold something to give out; nothing if there is nothing. `wanted`: how many are
  /// to be given out in all; where this read has them, the next is asked for.
  /// Of entries that were never given out, as the server has it: those from `first` on, up to
  /// entries_->given.
  void note_given(runtime::RedisValue list, std::size_t first, SourceBatch& batch);
  Result<void> read_new(std::size_t wanted, Duration wait, const SourceBatch& batch);
  /// As RedisStreamReader::read; learns how much may be asked for.
  Result<std::optional<runtime::RedisReply>> read(std::string_view from, std::size_t count,
                                                  Duration wait);
  /// Takes what was read ahead into ahead_, so that the pending worker leaves it alone.
  Result<void> settle();
  Entries held(runtime::RedisReply reply, std::size_t asked);
  void hold(runtime::RedisValue list);
  /// `done`, but for a group that is gone: it is made again, and the next call finds it.
  Result<void> heal(Result<void> done);
  /// Once: what the server lacks.
  Result<void> look_at_server();
  /// By the poll under way.
  std::size_t added(const SourceBatch& batch) const { return batch.size() - count_before_; }
  /// How many more entries one read of the poll may ask for.
  std::size_t room(std::size_t wanted, const SourceBatch& batch) const;
  /// Appends the messages of `count` entries from `first` on.
  Result<void> take_entries(runtime::RedisValue entries, std::size_t first, std::size_t count,
                            SourceBatch& batch);
  /// The message's views are good until the next.
  void take_fields(runtime::RedisValue fields, SourceMessage& message);
  /// The entry is no message, and why: what a person is to see of it stands in its place.
  void refuse(runtime::RedisValue fields, std::string why, SourceMessage& message);
  void tell_lost(SourceBatch& batch);
  Result<void> ack_deleted();
  Result<void> ack_in_batches(std::span<const SourceToken> tokens);
  Result<void> ack_one_by_one(std::span<const SourceToken> tokens);
  void learn_entry_size(runtime::RedisValue entries, std::size_t asked);
  void ask_for_less();

  Options options_;
  RedisSession session_;
  runtime::RedisConnection& connection_;
  RedisStreamGroup group_;
  RedisStreamReader reader_;
  /// Read, pending in Redis, and not given out yet: the rest of one read, and the next one.
  std::optional<Entries> entries_;
  std::optional<Entries> ahead_;
  std::size_t ahead_asked_ = 0;
  std::size_t count_before_ = 0;  ///< What the batch had when the poll began.
  std::uint64_t bytes_before_ = 0;
  bool opened_before_ = false;
  std::optional<RedisPendingWorker> pending_worker_;
  /// Reads its own pending entries after pending_cursor_; after that, new ones.
  SourceToken newest_given_;  ///< The highest id that was ever given out as new.
  bool reading_pending_ = true;
  SourceToken pending_cursor_;
  bool found_nothing_new_ = false;  ///< The last read of new entries.
  std::uint64_t lost_unread_ = 0;   ///< Not told yet.
  std::set<SourceToken> left_;      ///< What the node has left, having done with it.
  /// How many entries one read may ask for, so that it stays near kPollTargetBytes, and how large
  /// they are taken to be.
  std::size_t count_limit_ = 1;
  std::size_t entry_bytes_ = 1;
  std::size_t largest_bytes_ = 0;
  /// What the server would not send at once: it hung up in the midst of a reply.
  std::size_t cut_at_ = 0;
  std::size_t ceiling_;
  TimePoint ceiling_until_{};
  std::vector<SourceToken> found_deleted_;  ///< By this poll.
  std::set<SourceToken> told_deleted_;      ///< Said to be lost, and not acked yet.
  std::string json_;                        ///< An entry as one text.
  std::string fault_;                       ///< Of an entry that is no message.
  /// Reused by ack().
  std::string id_text_;
  std::vector<std::string_view> arguments_;
};

}  // namespace tempest::builtin
