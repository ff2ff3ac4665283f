#include "stats_node/http_server.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <deque>
#include <string>

#include "tempest/runtime/clock.hpp"
#include "tempest/runtime/endpoint.hpp"

using namespace tempest;
using namespace tempest::stats_node;
using namespace std::chrono_literals;

namespace {

constexpr Duration kPatience = 20s;

/// A client of HTTP that says exactly what it is told to.
class RawClient {
 public:
  explicit RawClient(const std::string& address) {
    std::string host;
    int port = 0;
    REQUIRE(parse_address(address, host, port));
    const auto found = runtime::numeric_address(host, static_cast<std::uint16_t>(port));
    REQUIRE(found);
    socket_ = ::socket(found->family(), SOCK_STREAM | SOCK_CLOEXEC, 0);
    REQUIRE(::connect(socket_, found->get(), found->length) == 0);
  }
  ~RawClient() { ::close(socket_); }
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  /// False once the server has hung up.
  bool say(const std::string& text) const {
    return ::send(socket_, text.data(), text.size(), MSG_NOSIGNAL) ==
           static_cast<ssize_t>(text.size());
  }
  /// All that comes until `count` answers have begun, the server hangs up, or time is up.
  std::string hear(std::size_t count) const {
    std::string heard;
    const TimePoint deadline = runtime::monotonic_now() + kPatience;
    pollfd waiting{socket_, POLLIN, 0};
    while (runtime::monotonic_now() < deadline && answers_in(heard) < count) {
      char bytes[4096];
      if (::poll(&waiting, 1, 100) <= 0) continue;
      const ssize_t size = ::recv(socket_, bytes, sizeof bytes, 0);
      if (size <= 0) break;
      heard.append(bytes, static_cast<std::size_t>(size));
    }
    return heard;
  }
  static std::size_t answers_in(const std::string& text) {
    std::size_t count = 0;
    for (std::size_t at = 0; (at = text.find("HTTP/1.1 ", at)) != std::string::npos; ++at) ++count;
    return count;
  }

 private:
  int socket_;
};

const std::string kGetLive = "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n";

}  // namespace

TEST_CASE("each of several requests of one HTTP connection is answered, sent at once or not") {
  StatsBoard board;
  board.make_aggregate("2030-01-01T00:00:00.000Z", runtime::monotonic_now());
  auto server = HttpServer::start("127.0.0.1:0", board);
  REQUIRE(server);
  const RawClient client((*server)->address());
  REQUIRE(client.say(kGetLive + kGetLive + kGetLive));
  CHECK(RawClient::answers_in(client.hear(3)) == 3);
  REQUIRE(client.say(kGetLive));
  CHECK(RawClient::answers_in(client.hear(1)) == 1);
}

TEST_CASE("a range of an HTTP answer is the whole of it, however often it is asked for") {
  StatsBoard board;
  auto server = HttpServer::start("127.0.0.1:0", board);
  REQUIRE(server);
  const RawClient client((*server)->address());
  std::string ranges = "Range: bytes=0-";
  for (int i = 0; i < 2'000; ++i) ranges += ",0-";
  REQUIRE(client.say("GET /metrics HTTP/1.1\r\nConnection: close\r\n" + ranges + "\r\n\r\n"));
  const std::string heard = client.hear(2);
  CHECK_THAT(heard, Catch::StartsWith("HTTP/1.1 200"));
  CHECK(heard.size() < board.metrics(runtime::monotonic_now()).size() + 1'000);
}

TEST_CASE("HTTP clients that are slow, or stay, keep nobody from an answer") {
  StatsBoard board;
  board.make_aggregate("2030-01-01T00:00:00.000Z", runtime::monotonic_now());
  auto server = HttpServer::start("127.0.0.1:0", board);
  REQUIRE(server);
  std::deque<RawClient> others;
  for (int i = 0; i < 100; ++i) {
    others.emplace_back((*server)->address());
    others.back().say(i % 2 == 0 ? "GET /livez HT" : kGetLive);
  }
  const TimePoint begun_at = runtime::monotonic_now();
  const RawClient client((*server)->address());
  REQUIRE(client.say(kGetLive));
  CHECK(RawClient::answers_in(client.hear(1)) == 1);
  CHECK(runtime::monotonic_now() - begun_at < 2s);
}

TEST_CASE("headers of HTTP without end are refused") {
  StatsBoard board;
  auto server = HttpServer::start("127.0.0.1:0", board);
  REQUIRE(server);
  const RawClient client((*server)->address());
  REQUIRE(client.say("GET /metrics HTTP/1.1\r\n"));
  const std::string header = "X: " + std::string(1'000, 'x') + "\r\n";
  std::size_t said = 0;
  while (said < 10'000 && client.say(header)) ++said;
  CHECK(said < 10'000);
}
