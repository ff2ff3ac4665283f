#include <catch2/catch.hpp>
#include <string>

#include "tempest/link/header_frame.hpp"
#include "two_ends.hpp"

using namespace tempest;
using namespace tempest::link;
using namespace std::chrono_literals;

namespace {

const Identity kAccepter{Role::pipeline, "pipeline-1", {8, 1}, "orders"};

/// An opener and an accepter, and what each was told, on a clock that begins at 0.
struct Pair {
  explicit Pair(Wanted wanted, std::string topology = "orders", Identity accepter = kAccepter)
      : client({Role::source, "source", {1, 1}, std::move(topology)}, Settings{}, 3,
               std::move(wanted)),
        server(std::move(accepter), Settings{}) {}

  /// The opener says HELLO if it is time, and both take what they are sent until nothing more is.
  void exchange() {
    Output to_server;
    client.turn(now, to_server);
    while (!to_server.frames.empty()) {
      Output to_client;
      for (const Outgoing& out : std::exchange(to_server.frames, {})) {
        server.receive("source#1", out.frame.view(), now, to_client);
      }
      take(to_client, of_server);
      for (const Outgoing& out : to_client.frames) {
        client.receive(out.frame.view(), now, to_server);
      }
    }
    take(to_server, of_client);
  }

  static void take(const Output& output, std::vector<Event>& events) {
    events.insert(events.end(), output.events.begin(), output.events.end());
  }

  Client client;
  Server server;
  TimePoint now{};
  std::vector<Event> of_client;
  std::vector<Event> of_server;
};

}  // namespace

TEST_CASE("An opener that means the accepter gets its session") {
  const Wanted wanted = GENERATE(Wanted{Role::pipeline, "pipeline-1", {8, 1}}, Wanted{});
  Pair pair(wanted);
  pair.exchange();
  CHECK(pair.client.is_up());
  CHECK(pair.client.peer().topology == "orders");
  CHECK(pair.server.session_count() == 1);
}

TEST_CASE("A session is refused, and both are told why, if the opener means somebody else") {
  struct Mistake {
    Wanted wanted;
    std::string topology;
    std::string why;
  };
  const Mistake mistake = GENERATE(
      Mistake{{Role::pipeline, "pipeline-1", {8, 1}},
              "refunds",
              "pipeline-1 serves topology orders, not refunds"},
      Mistake{{}, "", "pipeline-1 serves topology orders, not a node without one"},
      Mistake{{Role::pipeline, "pipeline-2", {8, 1}},
              "orders",
              "pipeline-2 was meant, and this is pipeline-1"},
      Mistake{{Role::pipeline, "pipeline-1", {7, 7}},
              "orders",
              "pipeline-1 was started anew since: 00000000000000070000000000000007 was meant, "
              "and this is 00000000000000080000000000000001"});
  CAPTURE(mistake.why);
  Pair pair(mistake.wanted, mistake.topology);
  pair.exchange();
  CHECK_FALSE(pair.client.is_up());
  CHECK(pair.server.session_count() == 0);
  for (const auto* events : {&pair.of_client, &pair.of_server}) {
    REQUIRE(events->size() == 1);
    CHECK(events->front().kind == Event::Kind::refused);
    CHECK(*events->front().text == mistake.why);
  }
  CHECK(pair.of_server.front().identity->name == "source");
  CHECK(pair.client.counters().refused == 1);
  CHECK(pair.server.counters().refused == 1);

  // Nothing is different in a moment: it is asked again after a second, and not said again.
  CHECK(pair.client.next_turn() == TimePoint{} + 1s);
  pair.now += 1s;
  pair.exchange();
  CHECK(pair.server.counters().refused == 2);
  CHECK(pair.of_client.size() == 1);
  CHECK(pair.of_server.size() == 1);
}

TEST_CASE("An opener refuses the welcome of a node of another role, and both are told why") {
  Pair pair({Role::broker, {}, {}});
  pair.exchange();
  CHECK_FALSE(pair.client.is_up());
  CHECK(pair.server.session_count() == 0);
  REQUIRE(pair.of_client.size() == 1);
  CHECK(*pair.of_client[0].text == "a broker was meant, and pipeline-1 is a pipeline");
  REQUIRE(pair.of_server.size() == 2);
  CHECK(pair.of_server[1].kind == Event::Kind::lost);
  CHECK(pair.of_server[1].reason == LostReason::left);
  CHECK(*pair.of_server[1].text == "a broker was meant, and pipeline-1 is a pipeline");
}

TEST_CASE("An opener refuses a welcome that names another topology, whatever the accepter checks") {
  Client client({Role::source, "source", {1, 1}, "orders"}, Settings{}, 3, {});
  Output output;
  client.turn(TimePoint{}, output);
  wire::Hello hello;
  REQUIRE(wire::decode(output.frames.at(0).frame.view(), hello));
  wire::Welcome welcome;
  welcome.hello = hello.hello;
  welcome.session = 77;
  welcome.role = Role::pipeline;
  welcome.name = "pipeline-1";
  welcome.topology = "refunds";
  Output answer;
  client.receive(header_frame(welcome).view(), TimePoint{}, answer);
  CHECK_FALSE(client.is_up());
  REQUIRE(answer.frames.size() == 1);
  wire::Bye bye;
  REQUIRE(wire::decode(answer.frames[0].frame.view(), bye));
  CHECK(bye.session == 77);
  CHECK(bye.reason == "pipeline-1 serves topology refunds, not orders");
}

TEST_CASE("An opener asks again at once when it learns whom to mean") {
  Pair pair({Role::pipeline, "pipeline-1", {7, 7}});
  pair.exchange();
  REQUIRE_FALSE(pair.client.is_up());
  pair.now += 10ms;
  pair.client.want({Role::pipeline, "pipeline-1", {8, 1}}, pair.now);
  pair.exchange();
  CHECK(pair.client.is_up());
  CHECK(pair.of_server.back().kind == Event::Kind::up);
}

TEST_CASE("A session that is up stays when somebody else is meant from now on") {
  Pair pair({Role::pipeline, "pipeline-1", {8, 1}});
  pair.exchange();
  REQUIRE(pair.client.is_up());
  pair.client.want({Role::pipeline, "pipeline-1", {9, 9}}, pair.now);
  pair.exchange();
  CHECK(pair.client.is_up());
}

TEST_CASE("Strangers with ever new names do not fill the log, and are told later") {
  Server server(kAccepter, Settings{});
  TimePoint now = TimePoint{} + 1h;
  Output output;
  const auto knock = [&](std::uint64_t number) {
    wire::Hello hello;
    hello.hello = number;
    hello.role = Role::task;
    const std::string name = "stranger " + std::to_string(number % 1'000);
    hello.name = name;
    hello.topology = "refunds";
    hello.lease_ms = 3000;
    server.receive("r", header_frame(hello).view(), now, output);
  };
  for (std::uint64_t i = 0; i < 1'000; ++i) knock(i);
  CHECK(output.events.size() == 16);
  CHECK(output.frames.size() == 1'000);
  CHECK(server.counters().refused == 1'000);
  now += 10s;
  for (std::uint64_t i = 0; i < 1'000; ++i) knock(1'000 + i);
  REQUIRE(output.events.size() == 32);
  CHECK(output.events[16].identity->name == "stranger 16");
}

TEST_CASE("A broker serves nodes of every topology") {
  Pair pair({Role::broker, {}, {}}, "refunds", {Role::broker, "broker", {5, 5}, ""});
  pair.exchange();
  CHECK(pair.client.is_up());
}

TEST_CASE("A HELLO of another version is turned down by its number, whatever else it holds") {
  Server server(kAccepter, Settings{});
  // Type, version 1, a HELLO's number, and a field of which this version knows nothing.
  const std::string hello("\x94\x01\x01\x2a\xc0", 5);
  Output output;
  server.receive("old", hello, TimePoint{}, output);
  REQUIRE(output.frames.size() == 1);
  wire::Bye bye;
  REQUIRE(wire::decode(output.frames[0].frame.view(), bye));
  CHECK(bye.session == 42);
  CHECK(bye.reason == "protocol version 1, and this node speaks 2");
}
