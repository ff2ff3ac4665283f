#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tempest/builtin/redis_server_check.hpp"
#include "tempest/runtime/redis.hpp"

namespace tempest::builtin {

/// Under which name a source reads, where it reads.
struct RedisReader {
  std::string key;
  std::string group;  ///< Empty for a list.
  std::string consumer;
};

/// What every source and sink in a Redis has: a connection to the one server that it belongs to,
/// and what a person is to be told of that.
class RedisSession {
 public:
  RedisSession(runtime::RedisAddress address, runtime::RedisTimeouts timeouts)
      : connection_(std::move(address), timeouts) {}

  runtime::RedisConnection& connection() { return connection_; }
  const runtime::RedisConnection& connection() const { return connection_; }

  /// Connects anew, to the right server only (RedisServerCheck). The first time it also warns of a
  /// server that may lose or drop what it holds; `loss` says what that means for who asks.
  Result<void> open(std::string_view loss);

  /// Makes this connection known to the server as the reader's, and looks for another: two nodes
  /// that read under one name give the same messages out twice. `unavailable` while there is one.
  /// Where the server does not let one look, there is none.
  Result<void> claim(const RedisReader& reader);

  /// RedisServerCheck::is_same_process().
  bool is_same_process() const { return server_.is_same_process(); }

  void warn(std::string text);
  std::vector<std::string> take_warnings() { return std::exchange(warnings_, {}); }

 private:
  Result<void> look_at_server(std::string_view loss);

  runtime::RedisConnection connection_;
  RedisServerCheck server_;
  bool looked_ = false;
  std::string life_;  ///< Which of the reader's connections are this one's, in CLIENT LIST.
  std::vector<std::string> warnings_;
};

/// The addresses of living connections in `clients`, a reply to CLIENT LIST, that are called `name`
/// and a '#', and are older than the one with the number `own`; but for those of this life.
std::vector<std::string> older_namesakes(std::string_view clients, std::string_view name,
                                         std::string_view life, std::int64_t own,
                                         std::uint32_t database);

}  // namespace tempest::builtin
