#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tempest/runtime/redis.hpp"

namespace tempest::builtin {

/// What a Redis server can do, of what the built-in sources use: told by its version.
struct RedisFeatures {
  std::string version = "unknown";
  bool streams = true;       ///< 5.0
  bool pending_idle = true;  ///< 6.2: XPENDING ... IDLE
  bool list_moves = true;    ///< 6.2: LMOVE and BLMOVE
};

/// From the reply to INFO server. A server that does not say its version is taken for a new one.
RedisFeatures redis_features(std::string_view info);

/// Asks an open connection. Errors: those of the connection.
Result<RedisFeatures> ask_features(runtime::RedisConnection& connection);

/// A warning where the server keeps no append-only file, so that it loses at a crash what it has
/// confirmed; empty where it does, or does not tell. `loss`: what that means for who asks.
Result<std::string> durability_warning(runtime::RedisConnection& connection, std::string_view loss);

/// A warning where the server may drop keys when it is short of memory; empty where it may not, or
/// does not tell.
Result<std::string> eviction_warning(runtime::RedisConnection& connection);

inline constexpr std::string_view kSourceLoss = "messages are lost, and acked ones come again";
inline constexpr std::string_view kSinkLoss = "what was written and confirmed is lost";

}  // namespace tempest::builtin
