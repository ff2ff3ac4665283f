#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <utility>

#include "tempest/builtin/redis_sink.hpp"

namespace tempest::builtin {

/// Adds payloads to a Redis stream, many in one exchange, each confirmed by its reply.
class RedisStreamSink : public RedisSink {
 public:
  struct Options {
    runtime::RedisAddress address;
    runtime::RedisTimeouts timeouts;
    std::string key;
    std::string field = "value";
    std::uint64_t max_length = 0;  ///< Zero: nothing is dropped.
  };

  explicit RedisStreamSink(Options options)
      : RedisSink(options.address, options.timeouts, options.key, "stream"),
        options_(std::move(options)),
        kept_(std::to_string(options_.max_length)) {}

  void add_writes(std::span<const Message> messages, RedisSteps& steps) const override;

 private:
  Result<void> write_part(std::span<const Message> messages) override;
  /// Calls it with the words of the command that adds this message.
  template <typename Call>
  auto with_command(const Message& message, Call call) const;

  Options options_;
  std::string kept_;  ///< max_length, as text.
};

}  // namespace tempest::builtin
