#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "tempest/base/result.hpp"
#include "tempest/base/time.hpp"
#include "tempest/runtime/redis.hpp"

namespace tempest::builtin {

/// What a server says of itself, by which it is known again. Empty where it does not say.
struct RedisServerFacts {
  std::string mode;         ///< "standalone", "cluster" or "sentinel".
  std::string run_id;       ///< New with each start of its process.
  std::string role;         ///< "master" or "slave".
  std::string master;       ///< Of a replica: host:port.
  std::string history;      ///< The replication id: the same in a master and its replicas.
  std::string old_history;  ///< The one before, of a replica that was made master.
  bool has_replicas = false;
  std::optional<Duration> uptime;
};

/// From the replies to INFO server and INFO replication, one after the other.
RedisServerFacts redis_server_facts(std::string_view info);

/// Holds an endpoint to the one server that it has been connected to, or to one that goes on where
/// that was: after a failover the old master comes back for some seconds, as a master, with data
/// that is about to be overwritten, and an address may lead elsewhere for a while. Nothing is to be
/// made or written there.
///
/// A server is the right one if its process or its replication id is the same; if it was a replica
/// of the right one; or if it has been started since that was last heard from, which had no
/// replicas. Any other must have been a master for kPatience.
class RedisServerCheck {
 public:
  static constexpr Duration kPatience = std::chrono::seconds(60);

  /// Connects, and looks at who is there. The connection is closed where it is the wrong one.
  /// Errors: those of the connection; `unavailable` for a replica and for the wrong server;
  /// `configuration` for a Sentinel.
  Result<void> connect(runtime::RedisConnection& connection);

  /// The decision: `last_heard` is when the server before gave its last reply. A success with a
  /// text is one to be told of.
  Result<std::string> admit(const RedisServerFacts& found, const std::string& name,
                            TimePoint last_heard, TimePoint now);

  /// True if the last connect() found the very process that the one before did, as far as is known.
  bool is_same_process() const { return is_same_process_; }

  /// What connect() has to tell; empty if nothing.
  std::string take_warning() { return std::exchange(warning_, {}); }

 private:
  bool goes_on(const RedisServerFacts& found, Duration silence) const;

  RedisServerFacts known_;
  std::string stranger_;  ///< Its run id.
  TimePoint stranger_since_{};
  std::string warning_;
  bool is_same_process_ = true;
};

}  // namespace tempest::builtin
