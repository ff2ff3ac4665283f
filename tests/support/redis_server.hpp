#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "tests/support/temporary_folder.hpp"

namespace tempest::test {

/// A real redis-server of one's own, on a free port of the loopback, with its files in a folder
/// that goes with it. It dies with the thread that started it, however that ends. Failures to start
/// throw.
class RedisServer {
 public:
  struct Options {
    bool append_only = true;  ///< Every write is on disk before its reply.
    std::string password = {};
    /// More options of redis-server: "--maxmemory", "2mb".
    std::vector<std::string> arguments = {};
    bool has_own_clock = false;  ///< For set_clock().
  };

  RedisServer() : RedisServer(Options{}) {}
  explicit RedisServer(Options options);
  ~RedisServer();
  RedisServer(const RedisServer&) = delete;
  RedisServer& operator=(const RedisServer&) = delete;

  /// "redis://127.0.0.1:PORT/0", without the password.
  std::string uri() const;
  /// The same server, by its Unix socket.
  std::string unix_uri() const;
  std::uint16_t port() const { return port_; }
  pid_t pid() const { return pid_; }

  /// kill -9. start() takes the same port again.
  void kill();
  /// On the same port, with the same files; returns when it answers.
  void start();
  /// SIGSTOP and SIGCONT: a server that is there and says nothing.
  void pause();
  /// Sets its wall clock so many seconds ahead of the real one (behind it, if negative).
  void set_clock(long seconds) const;
  void resume();

 private:
  void launch();
  bool wait_until_it_answers();

  Options options_;
  TemporaryFolder folder_;
  std::uint16_t port_ = 0;
  pid_t pid_ = -1;
};

}  // namespace tempest::test
