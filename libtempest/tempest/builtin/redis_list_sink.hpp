#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <utility>

#include "tempest/builtin/redis_sink.hpp"

namespace tempest::builtin {

/// Adds payloads to the end of a Redis list, many in one exchange, each confirmed by its reply.
class RedisListSink : public RedisSink {
 public:
  struct Options {
    runtime::RedisAddress address;
    runtime::RedisTimeouts timeouts;
    std::string key;
    std::uint64_t max_length = 0;  ///< Zero: nothing is dropped.
  };

  explicit RedisListSink(Options options)
      : RedisSink(options.address, options.timeouts, options.key, "list"),
        options_(std::move(options)),
        kept_("-" + std::to_string(options_.max_length)) {}

  void add_writes(std::span<const Message> messages, RedisSteps& steps) const override;

 private:
  Result<void> write_part(std::span<const Message> messages) override;

  Options options_;
  std::string kept_;  ///< Minus max_length: from which element on, as text.
};

}  // namespace tempest::builtin
