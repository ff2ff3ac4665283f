#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tempest/runtime/redis.hpp"
#include "tempest/source.hpp"

namespace tempest::builtin {

/// A Redis list as a reliable queue: producers RPUSH, and what was taken stays in Redis until it is
/// acked. Every step is one script, so a death at any moment loses nothing.
///
/// An element that is taken gets a number. Beside the list KEY there are then
///
///     KEY:ids               the last number given
///     KEY:payloads          number -> element, until it is acked
///     KEY:attempts          number -> how often it was given out
///     KEY:processing:NAME   the numbers that the reader NAME has (a sorted set)
///     KEY:delayed           numbers to be given again, by the time in ms when
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
  Duration tend_interval() const override { return options_.lease / 4; }
  Result<void> tend(SourceTended& done) override;
  std::vector<std::string> take_warnings() override;
  std::string describe(const SourceToken& token) const override;

 private:
  Result<runtime::RedisReply> run(std::string_view script, std::span<const std::string> arguments);
  Result<void> look_at_server();
  Result<void> renew_lease();
  /// What this reader has, after own_cursor_.
  Result<void> poll_own(std::size_t count, SourceBatch& batch);
  Result<std::size_t> poll_new(std::size_t count, SourceBatch& batch);
  Result<void> wait_for_elements(Duration wait);
  Result<std::size_t> take_rows(runtime::RedisValue rows, SourceBatch& batch);
  Result<void> forget(std::span<const SourceToken> tokens);
  void warn(std::string text);

  Options options_;
  runtime::RedisConnection connection_;
  bool server_known_ = false;
  bool can_wait_ = true;  ///< The server has BLMOVE.
  bool opened_before_ = false;
  bool reading_own_ = true;
  std::uint64_t own_cursor_ = 0;
  /// How many elements one poll may ask for, so that it stays near kPollTargetBytes.
  std::size_t count_limit_ = 128;
  std::vector<std::string> warnings_;
};

}  // namespace tempest::builtin
