#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "tempest/builtin/redis_steps.hpp"
#include "tempest/runtime/redis.hpp"
#include "tempest/sink.hpp"

namespace tempest::builtin {

/// Adds payloads to a Redis stream, many in one exchange, each confirmed by its reply.
class RedisStreamSink : public Sink, public RedisWriter {
 public:
  struct Options {
    runtime::RedisAddress address;
    runtime::RedisTimeouts timeouts;
    std::string key;
    std::string field = "value";
    std::uint64_t max_length = 0;  ///< Zero: nothing is dropped.
  };

  explicit RedisStreamSink(Options options)
      : options_(std::move(options)),
        connection_(options_.address, options_.timeouts),
        kept_(std::to_string(options_.max_length)) {}

  Result<void> open() override;
  Result<void> write(std::span<const Message> messages) override;
  std::vector<std::string> take_warnings() override { return std::exchange(warnings_, {}); }

  const runtime::RedisAddress& address() const override { return options_.address; }
  const std::string& key() const override { return options_.key; }
  void add_writes(std::span<const Message> messages, RedisSteps& steps) const override;

 private:
  Result<void> write_part(std::span<const Message> messages);
  Result<void> add(const Message& message);

  Options options_;
  runtime::RedisConnection connection_;
  std::string kept_;  ///< max_length, as text.
  bool server_known_ = false;
  std::vector<std::string> warnings_;
};

}  // namespace tempest::builtin
