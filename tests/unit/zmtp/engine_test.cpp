#include "tempest/zmtp/engine.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstring>
#include <string>
#include <vector>

#include "tempest/base/random.hpp"
#include "tests/support/sent_bytes.hpp"

namespace tempest::zmtp {
namespace {

using namespace std::chrono_literals;

/// One end, and what it has received.
struct End {
  explicit End(Settings settings) : engine(std::move(settings), TimePoint{}) {}

  /// Gives bytes to the engine, as a socket would: at most `most` at once.
  void receive(std::string_view bytes, TimePoint now = {}, std::size_t most = SIZE_MAX) {
    while (!bytes.empty() && !engine.failed()) {
      std::size_t written = 0;
      for (const auto piece : engine.space()) {
        const std::size_t part = std::min({piece.size(), bytes.size(), most - written});
        if (part > 0) std::memcpy(piece.data(), bytes.data(), part);
        bytes.remove_prefix(part);
        written += part;
      }
      engine.received(written, now);
      while (auto frame = engine.next()) frames.push_back(std::move(*frame));
    }
  }

  /// Everything that it wants to send.
  std::string sent() { return test::sent_bytes(engine.output()); }

  Engine engine;
  std::vector<SharedBytes> frames;
};

Settings settings(SocketType type) {
  Settings made;
  made.type = type;
  if (type == SocketType::dealer) made.identity = "worker#1";
  return made;
}

void exchange(End& a, End& b, TimePoint now = {}, std::size_t most = SIZE_MAX) {
  for (int i = 0; i < 4; ++i) {
    b.receive(a.sent(), now, most);
    a.receive(b.sent(), now, most);
  }
}

struct Pair {
  Pair() { exchange(dealer, router); }
  End dealer{settings(SocketType::dealer)};
  End router{settings(SocketType::router)};
};

std::string frame_bytes(std::uint8_t flags, std::string_view body) {
  SendQueue queue;
  queue.push_frame(flags, SharedBytes(std::string(body)));
  return test::sent_bytes(queue);
}

}  // namespace

TEST_CASE("a dealer and a router find each other, and the router learns its name") {
  Pair pair;
  CHECK(pair.dealer.engine.is_ready());
  CHECK(pair.router.engine.is_ready());
  CHECK(pair.router.engine.peer_identity() == "worker#1");
  CHECK(pair.dealer.engine.peer_identity().empty());
}

TEST_CASE("frames of any size arrive whole and in order, however the bytes are cut") {
  const std::size_t most = GENERATE(1, 2, 7, 100, 4096, 70'000, 1'000'000);
  End dealer{settings(SocketType::dealer)};
  End router{settings(SocketType::router)};
  exchange(dealer, router, {}, most);
  REQUIRE(router.engine.is_ready());
  Random random(most);
  std::vector<std::string> expected;
  for (const std::size_t size :
       {0, 1, 254, 255, 256, 257, 1000, 65'535, 65'536, 65'537, 200'000, 3}) {
    std::string body(size, ' ');
    for (char& byte : body) byte = static_cast<char>(random.next());
    dealer.engine.send(SharedBytes(body), {});
    expected.push_back(std::move(body));
  }
  router.receive(dealer.sent(), {}, most);
  REQUIRE(router.frames.size() == expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) CHECK(router.frames[i].view() == expected[i]);
}

TEST_CASE("what a socket takes only in part is continued where it stopped") {
  SendQueue queue;
  std::string expected;
  for (int i = 0; i < 20; ++i) {
    const std::string body(static_cast<std::size_t>(i * 37), static_cast<char>('a' + i));
    queue.push_frame(0, SharedBytes(body));
    expected += frame_bytes(0, body);
  }
  Random random(5);
  std::string written;
  while (!queue.is_empty()) {
    std::array<std::string_view, 5> pieces;
    const std::size_t count = queue.gather(pieces);
    REQUIRE(count > 0);
    std::string offered;
    for (std::size_t i = 0; i < count; ++i) offered.append(pieces[i]);
    const std::size_t taken = std::min<std::size_t>(offered.size(), random.below(60));
    written += offered.substr(0, taken);
    queue.consume(taken);
  }
  CHECK(written == expected);
}

TEST_CASE("a frame that is more than allowed ends the connection before any of it is kept") {
  Pair pair;
  std::string head(9, '\0');
  head[0] = static_cast<char>(kLongFlag);
  head[1] = 0x7f;
  pair.router.receive(head);
  CHECK(pair.router.engine.failed());
  CHECK(pair.router.engine.failure().find("is the most") != std::string::npos);
}

TEST_CASE("who does not speak ZMTP 3 without security is refused at once") {
  std::string bytes = GENERATE(as<std::string>{}, "GET / HTTP/1.1\r\n", "\x16\x03\x01", "\0");
  if (bytes.empty()) {
    bytes = greeting();
    const int kind = GENERATE(0, 1, 2);
    if (kind == 0) bytes[10] = 1;                  // ZMTP 2
    if (kind == 1) bytes.replace(12, 5, "PLAIN");  // a mechanism
    if (kind == 2) bytes[9] = 0;                   // ZMTP 1
  }
  End router{settings(SocketType::router)};
  router.receive(bytes);
  CHECK(router.engine.failed());
  CHECK(router.frames.empty());
}

TEST_CASE("a socket that is no dealer is refused by a router") {
  End router{settings(SocketType::router)};
  router.receive(greeting() + frame_bytes(kCommandFlag, ready_command(SocketType::router, "x")));
  CHECK(router.engine.failed());
  CHECK(router.engine.failure().find("should be a DEALER") != std::string::npos);
}

TEST_CASE("a frame before the introduction is refused") {
  End router{settings(SocketType::router)};
  router.receive(greeting() + frame_bytes(0, "hello"));
  CHECK(router.engine.failed());
  CHECK(router.frames.empty());
}

TEST_CASE("messages of several parts are none of ours, and what follows them arrives") {
  Pair pair;
  pair.router.receive(frame_bytes(kMoreFlag, "one") + frame_bytes(kMoreFlag, "two") +
                      frame_bytes(0, "three") + frame_bytes(0, "ours"));
  REQUIRE(pair.router.frames.size() == 1);
  CHECK(pair.router.frames.front().view() == "ours");
}

TEST_CASE("a stranger who says nothing is let go after the handshake's time") {
  End router{settings(SocketType::router)};
  router.receive(greeting());
  router.engine.tick(TimePoint{} + 3s);
  CHECK_FALSE(router.engine.failed());
  router.engine.tick(TimePoint{} + 3001ms);
  CHECK(router.engine.failed());
}

TEST_CASE("a dealer pings in silence, an answer keeps the connection, and none ends it") {
  Pair pair;
  TimePoint now{};
  for (int second = 1; second <= 10; ++second) {
    now += 1s;
    pair.dealer.engine.tick(now);
    pair.router.engine.tick(now);
    REQUIRE_FALSE(pair.dealer.engine.output().is_empty());
    exchange(pair.dealer, pair.router, now);
  }
  CHECK_FALSE(pair.dealer.engine.failed());
  CHECK_FALSE(pair.router.engine.failed());
  // From here on nothing gets through.
  pair.dealer.engine.tick(now + 4s);
  pair.router.engine.tick(now + 4s);
  CHECK_FALSE(pair.dealer.engine.failed());
  CHECK_FALSE(pair.router.engine.failed());
  pair.dealer.engine.tick(now + 4001ms);
  pair.router.engine.tick(now + 4001ms);
  CHECK(pair.dealer.engine.failed());
  CHECK(pair.router.engine.failed());
}

TEST_CASE("a dealer that only listens pings too, since its router waits to hear of it") {
  Pair pair;
  pair.router.engine.send(SharedBytes(std::string("data")), TimePoint{} + 1s);
  pair.dealer.receive(pair.router.sent(), TimePoint{} + 1s);
  pair.dealer.engine.tick(TimePoint{} + 1s);
  CHECK_FALSE(pair.dealer.engine.output().is_empty());
}

TEST_CASE("what a ping carries comes back with the pong") {
  Pair pair;
  std::string ping = ping_command(30) + "context";
  pair.router.receive(frame_bytes(kCommandFlag, ping));
  CHECK(pair.router.sent() == frame_bytes(kCommandFlag, pong_command("context")));
}

TEST_CASE("malformed commands end the connection") {
  Pair pair;
  const std::string body = GENERATE(as<std::string>{}, "", "\x05PIN", "\x04PING",
                                    "\x04PING\x01"
                                    "2context of 17 byte");
  pair.router.receive(frame_bytes(kCommandFlag, body));
  CHECK(pair.router.engine.failed());
}

TEST_CASE("commands of a later version are passed over") {
  Pair pair;
  pair.router.receive(frame_bytes(kCommandFlag, "\x09SUBSCRIBEall") + frame_bytes(0, "ours"));
  CHECK_FALSE(pair.router.engine.failed());
  CHECK(pair.router.frames.size() == 1);
}

}  // namespace tempest::zmtp
