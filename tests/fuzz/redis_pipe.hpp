#pragma once

#include <hiredis/hiredis.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "input.hpp"
#include "tempest/runtime/redis.hpp"
#include "tempest/source.hpp"

/// A Redis for a fuzzer: all its replies are in the pipe before they are asked for, and then it
/// hangs up. So one thread does, and nothing waits. For the one .cpp of a program.
namespace tempest::fuzz {

/// Both ends of the connection of this execution.
struct Pipe {
  int client = -1;
  int server = -1;

  /// Whose replies a connection gets.
  inline static Pipe* current = nullptr;

  explicit Pipe(std::string_view replies) {
    int ends[2];
    require(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0, "no sockets");
    client = ends[0];
    server = ends[1];
    require(write(server, replies.data(), replies.size()) == static_cast<ssize_t>(replies.size()),
            "the replies do not fit into the pipe");
    shutdown(server, SHUT_WR);
    current = this;
  }
  ~Pipe() {
    current = nullptr;
    if (client >= 0) close(client);
    close(server);
  }
};

inline constexpr std::size_t kMaxPolls = 4;

/// The Redis in the pipe, with or without a greeting.
inline runtime::RedisAddress address_of(std::uint8_t choices) {
  runtime::RedisAddress address;
  address.unix_path = "/fuzz";
  if ((choices & 1) != 0) address.password = "secret";
  if ((choices & 2) != 0) address.database = 1;
  return address;
}

inline void look_at_warnings(Source& source) {
  for (const std::string& warning : source.take_warnings()) {
    require(!warning.empty(), "an empty warning");
  }
}

}  // namespace tempest::fuzz

/// Takes the place of hiredis's own (a symbol of the program comes before that of a library).
extern "C" redisContext* redisConnectUnixWithTimeout(const char* /*path*/,
                                                     const timeval /*limit*/) {
  const int fd = std::exchange(tempest::fuzz::Pipe::current->client, -1);
  tempest::fuzz::require(fd >= 0, "a second connection");
  return redisConnectFd(fd);
}
