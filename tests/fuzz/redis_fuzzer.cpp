#include <hiredis/hiredis.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <string_view>
#include <vector>

#include "input.hpp"
#include "tempest/builtin/redis_stream_source.hpp"

/// What a Redis may say to a redis_stream source. All its replies are in the pipe before they are
/// asked for, and then it hangs up: so one thread does, and nothing waits.
using namespace tempest;
using fuzz::require;

namespace {

constexpr std::size_t kMaxPolls = 4;

/// Both ends of the connection of this execution.
struct Pipe {
  int client = -1;
  int server = -1;

  explicit Pipe(std::string_view replies) {
    int ends[2];
    require(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0, "no sockets");
    client = ends[0];
    server = ends[1];
    require(write(server, replies.data(), replies.size()) == static_cast<ssize_t>(replies.size()),
            "the replies do not fit into the pipe");
    shutdown(server, SHUT_WR);
  }
  ~Pipe() {
    if (client >= 0) close(client);
    close(server);
  }
};

Pipe* current = nullptr;

}  // namespace

/// Takes the place of hiredis's own (a symbol of the program comes before that of a library).
extern "C" redisContext* redisConnectUnixWithTimeout(const char* /*path*/,
                                                     const timeval /*limit*/) {
  const int fd = std::exchange(current->client, -1);
  require(fd >= 0, "a second connection");
  return redisConnectFd(fd);
}

namespace {

builtin::RedisStreamSource::Options options_of(std::uint8_t choices) {
  builtin::RedisStreamSource::Options options;
  options.address.unix_path = "/fuzz";
  if ((choices & 1) != 0) options.address.password = "secret";
  if ((choices & 2) != 0) options.address.database = 1;
  if ((choices & 4) != 0) options.field = "value";
  if ((choices & 8) != 0) options.key_field = "key";
  options.ack_in_batches = (choices & 16) == 0;
  options.key = "stream";
  options.group = "group";
  options.consumer = "consumer";
  return options;
}

void use(builtin::RedisStreamSource& source) {
  if (!source.open()) return;
  for (std::size_t i = 0; i < kMaxPolls; ++i) {
    SourceBatch batch;
    const bool polled = source.poll(100, std::chrono::milliseconds(1), batch).ok();
    std::vector<SourceToken> tokens;
    for (const SourceMessage& message : batch.messages) {
      require(!source.describe(message.token).empty(), "a message without its id");
      tokens.push_back(message.token);
    }
    for (const std::string& warning : source.take_warnings()) {
      require(!warning.empty(), "an empty warning");
    }
    if (!polled || !source.ack(tokens)) return;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  builtin::RedisStreamSource source(options_of(input.byte()));
  Pipe pipe(input.rest());
  current = &pipe;
  use(source);
  current = nullptr;
  return 0;
}
