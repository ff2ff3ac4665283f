#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "tempest/builtin/redis_session.hpp"
#include "tempest/builtin/redis_steps.hpp"
#include "tempest/runtime/redis.hpp"
#include "tempest/sink.hpp"

namespace tempest::builtin {

/// Of messages to be written to a Redis, those that go first: together, at most so many, and about
/// kWriteTargetBytes of payload. At least one.
std::span<const Message> first_part(std::span<const Message> messages, std::size_t most);

/// What sinks in a Redis have in common: the session, a look at what the key holds, writing in
/// parts, a connection that is made anew where an idle one was closed, and that what they write may
/// be steps beside others in the same server.
class RedisSink : public Sink {
 public:
  Result<void> open() override;
  Result<void> write(std::span<const Message> messages) override;
  void abandon() override { connection().abandon(); }
  std::vector<std::string> take_warnings() override { return session_.take_warnings(); }

  const runtime::RedisAddress& address() const { return session_.connection().address(); }
  const std::string& key() const { return key_; }
  /// What writes these. The steps view the messages and this.
  virtual void add_writes(std::span<const Message> messages, RedisSteps& steps) const = 0;

 protected:
  /// `type`: what TYPE says of the key, once something has been written.
  RedisSink(const runtime::RedisAddress& address, const runtime::RedisTimeouts& timeouts,
            std::string key, std::string type)
      : session_(address, timeouts),
        key_(std::move(key)),
        type_(std::move(type)),
        quick_(quick(timeouts)) {}

  /// All of them are there, confirmed by the server.
  virtual Result<void> write_part(std::span<const Message> messages) = 0;
  runtime::RedisConnection& connection() { return session_.connection(); }

 private:
  static Duration quick(const runtime::RedisTimeouts& timeouts);

  Result<void> look_at_key();
  Result<void> write_parts(std::span<const Message> messages);

  RedisSession session_;
  std::string key_;
  std::string type_;
  Duration quick_;  ///< What fails within it has met a closed connection, not a silent server.
};

}  // namespace tempest::builtin
