#include "tempest/runtime/network.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>
#include <zmq.hpp>

#include "tempest/runtime/clock.hpp"
#include "tempest/runtime/transport.hpp"
#include "tests/support/temporary_folder.hpp"

namespace tempest::runtime {
namespace {

using namespace std::chrono_literals;

constexpr Duration kPatience = 20s;
constexpr link::ChannelId kChannel{7};

/// A node's sockets, and what they have received.
class Place final : public FrameSink {
 public:
  explicit Place(Transport& transport, const std::string& name = "place")
      : log_(name), network(transport, name, log_) {}

  struct Received {
    link::ChannelId channel{};
    std::string routing_id;
    std::string frame;
  };

  void receive(link::ChannelId channel, std::string_view routing_id, SharedBytes frame) override {
    received.push_back({channel, std::string(routing_id), std::string(frame.view())});
  }

  std::size_t count(std::string_view frame) const {
    return static_cast<std::size_t>(
        std::count_if(received.begin(), received.end(),
                      [frame](const Received& one) { return one.frame == frame; }));
  }

  /// As a loop does: until there is something, or `look` says so, or it is `until`.
  template <typename Look>
  void wait(TimePoint until, Look look) {
    network.prepare_to_sleep();
    const bool has_news = network.has_news() || look();
    network.wait(has_news ? TimePoint::min() : std::min(until, network.next_turn()));
    network.wake_up();
  }

  void turn(Duration patience = 5ms) {
    wait(monotonic_now() + patience, [] { return false; });
    network.read(monotonic_now(), *this);
    network.flush(monotonic_now());
  }

  void send(link::ChannelId channel, const std::string& routing_id, std::string frame) {
    const TimePoint now = monotonic_now();
    network.send({channel, routing_id, SharedBytes(std::move(frame))}, now);
    network.flush(now);
  }

 private:
  Log log_;

 public:
  Network network;
  std::vector<Received> received;
};

/// Turns both until it holds, or patience ends.
bool eventually(Place& a, Place& b, const std::function<bool()>& holds) {
  const TimePoint deadline = monotonic_now() + kPatience;
  while (!holds() && monotonic_now() < deadline) {
    a.turn();
    b.turn();
  }
  return holds();
}

bool eventually(Place& place, const std::function<bool()>& holds) {
  return eventually(place, place, holds);
}

/// Sends again until it has come: a connection takes a moment.
bool reach(Place& from, Place& to, const std::string& text = "hello") {
  const std::size_t before = to.count(text);
  return eventually(from, to, [&] {
    from.send(kChannel, {}, text);
    return to.count(text) > before;
  });
}

std::string listen(Place& place, const std::string& bind = "tcp://127.0.0.1:0") {
  const auto bound = place.network.listen(bind);
  REQUIRE(bound);
  return *bound;
}

void open(Place& place, const std::string& endpoint) {
  REQUIRE(place.network.open(kChannel, endpoint, monotonic_now()));
}

zmq::socket_t connected_dealer(zmq::context_t& context, const std::string& endpoint,
                               const std::string& routing_id) {
  zmq::socket_t dealer(context, zmq::socket_type::dealer);
  dealer.set(zmq::sockopt::linger, 0);
  dealer.set(zmq::sockopt::routing_id, routing_id);
  dealer.connect(endpoint);
  return dealer;
}

/// A connection of bytes, as a stranger makes it.
class Stranger {
 public:
  explicit Stranger(const std::string& endpoint) : descriptor_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port =
        htons(static_cast<std::uint16_t>(std::stoi(endpoint.substr(endpoint.rfind(':') + 1))));
    REQUIRE(::connect(descriptor_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  }
  ~Stranger() { ::close(descriptor_); }
  Stranger(const Stranger&) = delete;
  Stranger& operator=(const Stranger&) = delete;

  void send(std::string_view bytes) {
    ::send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  }
  /// The other end has closed.
  bool is_let_go() {
    char byte = 0;
    while (true) {
      const ssize_t count = ::recv(descriptor_, &byte, 1, MSG_DONTWAIT);
      if (count <= 0) return count == 0 || (errno != EAGAIN && errno != EINTR);
    }
  }

 private:
  int descriptor_;
};

}  // namespace

TEST_CASE("frames go both ways between two nodes, over every transport") {
  const test::TemporaryFolder folder;
  std::string bind =
      GENERATE(as<std::string>{}, "tcp://127.0.0.1:0", "tcp://*:*", "tcp://localhost:0",
               "tcp://[::1]:0", "ipc://@tempest-test", "ipc://FOLDER/socket", "inproc://name");
  if (bind.starts_with("ipc://FOLDER")) bind.replace(6, 6, folder.path(""));
  Transport transport;
  Place listening(transport);
  Place opening(transport, "opener");
  std::string bound = listen(listening, bind);
  if (bound.starts_with("tcp://0.0.0.0")) bound.replace(6, 7, "127.0.0.1");
  open(opening, bound);

  REQUIRE(reach(opening, listening));
  CHECK(listening.received.front().routing_id == "opener#7");
  CHECK(listening.received.front().channel == link::kListener);
  const std::string large(3'000'000, 'x');
  listening.send(link::kListener, "opener#7", "small");
  listening.send(link::kListener, "opener#7", large);
  REQUIRE(eventually(opening, listening, [&] { return opening.received.size() == 2; }));
  CHECK(opening.received[0].frame == "small");
  CHECK(opening.received[1].frame == large);
  CHECK(opening.received[0].channel == kChannel);
}

TEST_CASE("a host is found by its name without holding up the loop") {
  Transport transport;
  Place listening(transport);
  Place opening(transport, "opener");
  std::string bound = listen(listening);
  bound.replace(6, 9, "localhost");
  open(opening, bound);
  CHECK(reach(opening, listening));
}

TEST_CASE("a DEALER of libzmq is a peer like any other") {
  Transport transport;
  Place listening(transport);
  const std::string bound = listen(listening);
  zmq::context_t context;
  zmq::socket_t dealer = connected_dealer(context, bound, "theirs");
  dealer.set(zmq::sockopt::rcvtimeo, 20'000);
  const std::string large(1'000'000, 'y');
  dealer.send(zmq::buffer(large), zmq::send_flags::none);
  REQUIRE(eventually(listening, [&] { return !listening.received.empty(); }));
  CHECK(listening.received.front().routing_id == "theirs");
  CHECK(listening.received.front().frame == large);
  listening.send(link::kListener, "theirs", "answer");
  zmq::message_t answer;
  REQUIRE(dealer.recv(answer));
  CHECK(answer.to_string_view() == "answer");
}

TEST_CASE("a DEALER of libzmq that pings gets answers, and stays") {
  Transport transport;
  Place listening(transport);
  const std::string bound = listen(listening);
  zmq::context_t context;
  zmq::socket_t dealer(context, zmq::socket_type::dealer);
  dealer.set(zmq::sockopt::linger, 0);
  dealer.set(zmq::sockopt::heartbeat_ivl, 20);
  dealer.set(zmq::sockopt::heartbeat_timeout, 1000);
  dealer.set(zmq::sockopt::routing_id, "theirs");
  zmq::socket_t monitor(context, zmq::socket_type::pair);
  zmq_socket_monitor(dealer.handle(), "inproc://monitor", ZMQ_EVENT_DISCONNECTED);
  monitor.connect("inproc://monitor");
  dealer.connect(bound);
  const TimePoint until = monotonic_now() + 1500ms;
  while (monotonic_now() < until) listening.turn();
  zmq::message_t event;
  CHECK_FALSE(monitor.recv(event, zmq::recv_flags::dontwait));
}

TEST_CASE("a ROUTER of libzmq is a peer like any other") {
  zmq::context_t context;
  zmq::socket_t router(context, zmq::socket_type::router);
  router.set(zmq::sockopt::linger, 0);
  router.bind("tcp://127.0.0.1:*");
  Transport transport;
  Place opening(transport, "ours");
  open(opening, router.get(zmq::sockopt::last_endpoint));
  zmq::message_t routing_id;
  REQUIRE(eventually(opening, [&] {
    opening.send(kChannel, {}, "question");
    return routing_id.size() > 0 || router.recv(routing_id, zmq::recv_flags::dontwait);
  }));
  CHECK(routing_id.to_string_view() == "ours#7");
  router.send(routing_id, zmq::send_flags::sndmore);
  router.send(zmq::buffer(std::string_view("answer")), zmq::send_flags::none);
  REQUIRE(eventually(opening, [&] { return !opening.received.empty(); }));
  CHECK(opening.received.front().frame == "answer");
}

TEST_CASE("who listens later is found, and who comes back is found again") {
  const std::string scheme = GENERATE(as<std::string>{}, "tcp", "inproc");
  Transport transport;
  Place opening(transport, "opener");
  std::string endpoint = "inproc://later";
  if (scheme == "tcp") {
    Place first(transport);
    endpoint = *first.network.listen("tcp://127.0.0.1:0");
  }
  open(opening, endpoint);
  opening.turn();
  for (int life = 0; life < 2; ++life) {
    Place listening(transport);
    REQUIRE(listening.network.listen(endpoint));
    CHECK(reach(opening, listening));
  }
}

TEST_CASE("what is sent to nobody is dropped, and not kept for whoever comes") {
  Transport transport;
  Place opening(transport, "opener");
  open(opening, "inproc://later");
  opening.send(kChannel, {}, "too early");
  opening.send(link::kListener, "nobody", "to nobody");
  Place listening(transport);
  REQUIRE(listening.network.listen("inproc://later"));
  REQUIRE(reach(opening, listening));
  for (const auto& received : listening.received) CHECK(received.frame == "hello");
}

TEST_CASE("a peer that comes under a routing id that is known takes it over") {
  Transport transport;
  Place listening(transport);
  const std::string bind = GENERATE(as<std::string>{}, "tcp://127.0.0.1:0", "inproc://name");
  const std::string bound = listen(listening, bind);
  Place first(transport, "twin");
  Place second(transport, "twin");
  open(first, bound);
  REQUIRE(reach(first, listening));
  open(second, bound);
  REQUIRE(reach(second, listening, "hello from the second"));
  listening.send(link::kListener, "twin#7", "to the second");
  REQUIRE(eventually(listening, second, [&] { return !second.received.empty(); }));
  CHECK(first.received.empty());
}

TEST_CASE("a closed channel's last words arrive") {
  Transport transport;
  Place listening(transport);
  const std::string bind = GENERATE(as<std::string>{}, "tcp://127.0.0.1:0", "inproc://name");
  const std::string bound = listen(listening, bind);
  Place opening(transport, "opener");
  open(opening, bound);
  REQUIRE(reach(opening, listening));
  // Something unread on the side that closes must not cost the other what was sent.
  listening.send(link::kListener, "opener#7", "unread");
  opening.send(kChannel, {}, "goodbye");
  opening.network.close(kChannel);
  CHECK(eventually(listening, [&] { return listening.received.back().frame == "goodbye"; }));
}

TEST_CASE("a peer that reads nothing holds up nobody, and what it gets is bounded") {
  Transport transport;
  Place listening(transport);
  const std::string bound = listen(listening);
  zmq::context_t context;
  zmq::socket_t deaf = connected_dealer(context, bound, "deaf");
  deaf.set(zmq::sockopt::rcvhwm, 1);
  deaf.send(zmq::buffer(std::string_view("hello")), zmq::send_flags::none);
  REQUIRE(eventually(listening, [&] { return !listening.received.empty(); }));
  const SharedBytes frame(std::string(100'000, 'x'));
  const TimePoint now = monotonic_now();
  for (std::size_t i = 0; i < 3 * kMaxQueuedFrames; ++i) {
    listening.network.send({link::kListener, "deaf", frame}, now);
    listening.network.flush(now);
  }
  Place opening(transport, "opener");
  open(opening, bound);
  CHECK(reach(opening, listening));
}

TEST_CASE("a peer that dies while what it has sent is not read takes nobody with it") {
  Transport transport;
  Place listening(transport);
  const std::string bound = listen(listening);
  {
    zmq::context_t context;
    zmq::socket_t dealer = connected_dealer(context, bound, "peer");
    listening.turn(100ms);
    const std::string frame(100'000, 'x');
    REQUIRE(eventually(listening, [&] {
      dealer.send(zmq::buffer(frame), zmq::send_flags::dontwait);
      return !listening.received.empty();
    }));
    for (int i = 0; i < 200; ++i) dealer.send(zmq::buffer(frame), zmq::send_flags::dontwait);
  }
  Place opening(transport, "opener");
  open(opening, bound);
  REQUIRE(reach(opening, listening));
}

TEST_CASE("nobody is taken for silent before all that has come was read") {
  constexpr std::size_t kPeers = 300;  // More than a poller gives at a time.
  Transport transport;
  Place listening(transport, "listening");
  Place peers(transport, "peers");
  const std::string bound = listen(listening);
  const auto channel = [](std::size_t i) {
    return link::ChannelId{100 + static_cast<std::uint32_t>(i)};
  };
  for (std::size_t i = 0; i < kPeers; ++i) {
    REQUIRE(peers.network.open(channel(i), bound, monotonic_now()));
  }
  std::set<std::string> heard;
  const auto hear = [&] {
    for (const auto& one : listening.received) heard.insert(one.routing_id);
    listening.received.clear();
  };
  REQUIRE(eventually(peers, listening, [&] {
    for (std::size_t i = 0; i < kPeers; ++i) peers.send(channel(i), {}, "hello");
    hear();
    return heard.size() == kPeers;
  }));
  // Each says how long its silence may last, by a ping after a second without a word.
  const TimePoint quiet = monotonic_now() + 2s;
  peers.network.read(quiet, peers);
  peers.network.flush(quiet);
  for (int i = 0; i < 10; ++i) listening.turn();

  // The listening process stands still for longer than that. All have spoken meanwhile.
  for (std::size_t i = 0; i < kPeers; ++i) peers.send(channel(i), {}, "still here");
  hear();
  listening.received.clear();
  listening.network.wait(TimePoint::min());
  listening.network.read(monotonic_now() + 30s, listening);
  CHECK(listening.count("still here") == kPeers);
  for (const std::string& routing_id : heard) {
    listening.network.send({link::kListener, routing_id, SharedBytes(std::string("welcome"))},
                           monotonic_now());
  }
  listening.network.flush(monotonic_now());
  CHECK(eventually(peers, listening, [&] { return peers.count("welcome") == kPeers; }));
}

TEST_CASE("strangers who speak something else are let go, and cost the others nothing") {
  Transport transport;
  Place listening(transport);
  const std::string bound = listen(listening);
  Stranger browser(bound);
  browser.send("GET / HTTP/1.1\r\n\r\n");
  CHECK(eventually(listening, [&] { return browser.is_let_go(); }));
  Stranger silent(bound);
  CHECK(eventually(listening, [&] { return silent.is_let_go(); }));
  CHECK(listening.received.empty());
}

TEST_CASE("strangers cannot take all places") {
  Transport transport;
  Place listening(transport);
  const std::string bound = listen(listening);
  std::vector<std::unique_ptr<Stranger>> strangers;
  Stranger first(bound);
  for (int i = 0; i < 1100; ++i) {
    strangers.push_back(std::make_unique<Stranger>(bound));
    if (i % 50 == 0) listening.turn(0ms);
  }
  CHECK(eventually(listening, [&] { return first.is_let_go(); }));
  CHECK_FALSE(strangers.back()->is_let_go());
}

TEST_CASE("the file of a node that was killed is taken over; that of one that lives is not") {
  const test::TemporaryFolder folder;
  const std::string path = folder.path("socket");
  Transport transport;
  {
    // A node that ends by itself takes its file with it; this one was killed.
    const auto address = ipc_address(path);
    REQUIRE(address);
    const int killed = ::socket(AF_UNIX, SOCK_STREAM, 0);
    REQUIRE(::bind(killed, address->get(), address->length) == 0);
    ::close(killed);
  }
  Place listening(transport);
  REQUIRE(listening.network.listen("ipc://" + path));
  Place second(transport);
  const auto refused = second.network.listen("ipc://" + path);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().message.find("in use") != std::string::npos);
}

TEST_CASE("a node never takes the place of a file that is no socket") {
  const test::TemporaryFolder folder;
  const std::string path = folder.path("letters.txt");
  std::ofstream(path) << "dear";
  Transport transport;
  Place place(transport);
  const auto refused = place.network.listen("ipc://" + path);
  REQUIRE_FALSE(refused);
  CHECK_THAT(refused.error().message, Catch::Contains("no socket"));
  zmq::socket_t bus = make_bus_input(transport);
  std::optional<UnixListener> listener;
  CHECK_FALSE(bind_socket(bus, "ipc://" + path, listener));
  std::string kept;
  std::ifstream(path) >> kept;
  CHECK(kept == "dear");
}

TEST_CASE("a node that stops leaves the socket of one that has taken its path since") {
  const test::TemporaryFolder folder;
  const std::string path = folder.path("socket");
  const std::string bus_path = folder.path("bus");
  Transport transport;
  std::optional<Place> first(std::in_place, transport);
  std::optional<zmq::socket_t> bus(make_bus_input(transport));
  std::optional<UnixListener> listener;
  REQUIRE(first->network.listen("ipc://" + path));
  REQUIRE(bind_socket(*bus, "ipc://" + bus_path, listener));
  std::filesystem::remove(path);
  std::filesystem::remove(bus_path);
  Place second(transport);
  zmq::socket_t second_bus = make_bus_input(transport);
  std::optional<UnixListener> second_listener;
  REQUIRE(second.network.listen("ipc://" + path));
  REQUIRE(bind_socket(second_bus, "ipc://" + bus_path, second_listener));
  first.reset();
  bus.reset();
  listener.reset();
  CHECK(std::filesystem::exists(path));
  CHECK(std::filesystem::exists(bus_path));
  second.network.close_all();
  second_listener.reset();
  CHECK_FALSE(std::filesystem::exists(path));
  CHECK_FALSE(std::filesystem::exists(bus_path));
}

TEST_CASE("an endpoint of no known form is refused, with the forms that there are") {
  const std::string text =
      GENERATE(as<std::string>{}, "", "here", "tcp://", "tcp://host", "tcp://host:", "tcp://:1",
               "tcp://host:65536", "tcp://host:1x", "ipc://", "inproc://", "udp://host:1");
  const auto parsed = parse_endpoint(text);
  REQUIRE_FALSE(parsed);
  CHECK(parsed.error().message.find("tcp://HOST:PORT") != std::string::npos);
}

TEST_CASE("who rings wakes a loop that sleeps, and one that is about to") {
  Transport transport;
  Place place(transport);
  constexpr int kRounds = 2000;
  std::atomic<bool> rung{false};
  std::atomic<bool> is_over{false};
  std::thread other([&] {
    while (!is_over) {
      if (!rung.exchange(true)) place.network.doorbell().ring();
      std::this_thread::yield();
    }
  });
  int taken = 0;
  bool is_missed = false;
  while (taken < kRounds && !is_missed) {
    const TimePoint begin = monotonic_now();
    place.wait(begin + kPatience, [&] { return rung.load(); });
    place.network.read(monotonic_now(), place);
    if (rung.exchange(false)) ++taken;
    // A ring that is missed lets it sleep until the next tick.
    is_missed = monotonic_now() - begin > 900ms;
  }
  is_over = true;
  other.join();
  CHECK_FALSE(is_missed);
}

}  // namespace tempest::runtime
