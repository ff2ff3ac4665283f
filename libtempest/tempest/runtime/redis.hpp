#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tempest/base/result.hpp"
#include "tempest/base/time.hpp"

/// A small client for one Redis server.
namespace tempest::runtime {

/// Where a Redis is, and who one is there.
struct RedisAddress {
  std::string host = "127.0.0.1";
  std::uint16_t port = 6379;
  std::string unix_path;  ///< In place of host and port, if not empty.
  std::string user;
  std::string password;  ///< May be empty beside a user: one that needs none.
  std::uint32_t database = 0;

  /// For people: no user, no password.
  std::string shown() const;

  bool operator==(const RedisAddress&) const = default;
};

/// "redis://[user[:password]@]host[:port][/database]", an IPv6 host in brackets; or
/// "unix://[user[:password]@]/path[?db=number]". %xx stands for a byte in user, password and path.
/// An error never repeats the password.
Result<RedisAddress> parse_redis_uri(std::string_view uri);

/// A reply, or a part of one. A view: good as long as the RedisReply it came from.
class RedisValue {
 public:
  enum class Kind { nil, integer, text, status, error, array };

  explicit RedisValue(const void* reply) : reply_(reply) {}

  Kind kind() const;
  bool is_nil() const { return kind() == Kind::nil; }
  /// Of a text, status or error; empty for any other.
  std::string_view text() const;
  /// Of an integer; 0 for any other.
  std::int64_t integer() const;
  /// How many elements an array has; 0 for any other.
  std::size_t size() const;
  /// A nil where there is none: no reply, whatever its form, is read beyond its end.
  RedisValue operator[](std::size_t index) const;

 private:
  const void* reply_;
};

/// Owns a reply.
class RedisReply {
 public:
  explicit RedisReply(void* reply) : reply_(reply) {}

  RedisValue value() const { return RedisValue(reply_.get()); }

 private:
  struct Free {
    void operator()(void* reply) const;
  };
  std::unique_ptr<void, Free> reply_;
};

struct RedisTimeouts {
  Duration connect = std::chrono::seconds(3);
  /// For a reply to begin, once its command is sent.
  Duration reply = std::chrono::seconds(10);
};

/// One connection, for one thread. Every call blocks, no longer than the timeouts say. After an
/// `unavailable` that came from the connection (not from an error reply) it is closed, and every
/// call fails until connect() has succeeded again.
///
/// The errors: `unavailable` (no connection, a reply too late, a server that loads or is short of
/// memory: a retry may help), `not_found` (NOGROUP), `configuration` (a password, a right or a type
/// is wrong, a cluster, a server that speaks TLS: a retry does not help), `protocol` (no valid
/// Redis reply). After has_worked() what is `configuration` here is `unavailable`.
class RedisConnection {
 public:
  explicit RedisConnection(RedisAddress address, RedisTimeouts timeouts = {});
  ~RedisConnection();
  RedisConnection(const RedisConnection&) = delete;
  RedisConnection& operator=(const RedisConnection&) = delete;

  /// Closes what is open, connects, authenticates and selects the database.
  Result<void> connect();
  bool connected() const { return context_ != nullptr; }
  void close();
  const RedisAddress& address() const { return address_; }

  /// Says that password, rights, types and address have been right once. From then on it is the
  /// server that has changed when they are not, and that may be mended there: `unavailable`.
  void has_worked() { worked_ = true; }
  bool worked() const { return worked_; }
  /// True if the server has hung up, so that a command sent now would get no reply.
  bool is_hung_up() const;
  /// When the last reply came.
  TimePoint last_reply_at() const { return last_reply_at_; }
  /// Ends what is under way, and all that follows, with `unavailable`. From any thread.
  void abandon();

  /// Sends one command, and returns its reply. An error reply is an Error.
  Result<RedisReply> command(std::span<const std::string_view> arguments);
  Result<RedisReply> command(std::initializer_list<std::string_view> arguments) {
    return command(std::span(arguments.begin(), arguments.size()));
  }
  /// The same, but an error reply is a reply.
  Result<RedisReply> exchange(std::span<const std::string_view> arguments);
  Result<RedisReply> exchange(std::initializer_list<std::string_view> arguments) {
    return exchange(std::span(arguments.begin(), arguments.size()));
  }

  /// Pipelining: send any number (no more than the server's output buffer and one's own patience
  /// hold), then take as many replies, in order. An error reply is a reply here; see check().
  Result<void> append(std::span<const std::string_view> arguments);
  Result<void> append(std::initializer_list<std::string_view> arguments) {
    return append(std::span(arguments.begin(), arguments.size()));
  }
  Result<RedisReply> next_reply();

  /// Sends a command whose reply is wanted later, so that the server is at it meanwhile. Others may
  /// be sent and answered in between; one at a time can be deferred.
  Result<void> defer(std::span<const std::string_view> arguments);
  bool has_deferred() const { return deferred_ != Deferred::none; }
  /// The reply to what was deferred, as of next_reply().
  Result<RedisReply> take_deferred();

  /// Makes an error reply an Error.
  Result<void> check(RedisValue reply) const;

 private:
  struct Close {
    void operator()(void* context) const;
  };

  enum class Deferred { none, on_its_way, here };

  Error lost(std::string_view during);
  Result<RedisReply> read_reply();
  Result<void> greet();
  Error greeting_refused(RedisValue reply);
  /// False: it has been abandoned.
  bool publish_socket();

  RedisAddress address_;
  RedisTimeouts timeouts_;
  std::unique_ptr<void, Close> context_;
  bool worked_ = false;
  bool heard_ = false;  ///< This connection has brought a reply.
  TimePoint last_reply_at_{};
  std::mutex abandoning_;  ///< Guards what abandon() reads and sets.
  int socket_ = -1;
  bool abandoned_ = false;
  Deferred deferred_ = Deferred::none;
  std::optional<RedisReply> deferred_reply_;  ///< If it is here.
  std::vector<const char*> argument_data_;
  std::vector<std::size_t> argument_sizes_;
};

/// The error that `text`, an error reply, is about: what a script met, where an old server wraps it
/// ("ERR Error running script (...): @user_script:3: -OOM command not allowed"); else `text`.
std::string_view cause_of_reply(std::string_view text);

/// True if that is a lack of memory at the server (maxmemory).
bool means_out_of_memory(RedisValue reply);

}  // namespace tempest::runtime
