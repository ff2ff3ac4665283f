#pragma once

#include <cstdint>
#include <string>

#include "tempest/runtime/redis.hpp"
#include "tempest/sink.hpp"

namespace tempest::builtin {

/// Adds payloads to the end of a Redis list, many in one exchange, each confirmed by its reply.
class RedisListSink : public Sink {
 public:
  struct Options {
    runtime::RedisAddress address;
    runtime::RedisTimeouts timeouts;
    std::string key;
    std::uint64_t max_length = 0;  ///< Zero: nothing is dropped.
  };

  explicit RedisListSink(Options options)
      : options_(std::move(options)), connection_(options_.address, options_.timeouts) {}

  Result<void> open() override { return connection_.connect(); }
  Result<void> write(std::span<const Message> messages) override;

 private:
  Result<void> write_part(std::span<const Message> messages);

  Options options_;
  runtime::RedisConnection connection_;
};

}  // namespace tempest::builtin
