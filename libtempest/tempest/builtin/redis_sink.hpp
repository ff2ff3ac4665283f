#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "tempest/builtin/redis_steps.hpp"
#include "tempest/runtime/redis.hpp"
#include "tempest/sink.hpp"

namespace tempest::builtin {

/// Of messages to be written to a Redis, those that go first: together, at most so many, and about
/// kWriteTargetBytes of payload. At least one.
std::span<const Message> first_part(std::span<const Message> messages, std::size_t most);

/// What sinks in a Redis have in common: the connection, a word of warning about its server,
/// writing in parts, and that what they write may be steps beside others in the same server.
class RedisSink : public Sink {
 public:
  Result<void> open() override;
  Result<void> write(std::span<const Message> messages) override;
  std::vector<std::string> take_warnings() override { return std::exchange(warnings_, {}); }

  const runtime::RedisAddress& address() const { return connection_.address(); }
  const std::string& key() const { return key_; }
  /// What writes these. The steps view the messages and this.
  virtual void add_writes(std::span<const Message> messages, RedisSteps& steps) const = 0;

 protected:
  RedisSink(const runtime::RedisAddress& address, const runtime::RedisTimeouts& timeouts,
            std::string key)
      : connection_(address, timeouts), key_(std::move(key)) {}

  /// All of them are there, confirmed by the server.
  virtual Result<void> write_part(std::span<const Message> messages) = 0;
  runtime::RedisConnection& connection() { return connection_; }

 private:
  runtime::RedisConnection connection_;
  std::string key_;
  bool server_known_ = false;
  std::vector<std::string> warnings_;
};

}  // namespace tempest::builtin
