#include <catch2/catch.hpp>
#include <string>

#include "tempest/link/header_frame.hpp"
#include "two_ends.hpp"

using namespace tempest;
using namespace tempest::link;
using namespace std::chrono_literals;
using Texts = std::vector<std::string>;

namespace {

wire::FrameType type_of(const Outgoing& out) {
  return wire::peek_type(out.frame.view()).value();
}

wire::Hello some_hello(std::string_view name, std::uint64_t number) {
  wire::Hello hello;
  hello.hello = number;
  hello.role = Role::task;
  hello.name = name;
  hello.incarnation = {5, number};
  hello.lease_ms = 3000;
  return hello;
}

std::string text(const SharedBytes& frame) {
  return std::string(frame.view());
}

}  // namespace

TEST_CASE("Frames of an unknown session are answered with one RESET, others with nothing") {
  TwoEnds ends;
  REQUIRE(ends.run_until_up());
  std::string data = TwoEnds::frame_of("x");
  wire::finish_data({77, 1, 0, wire::BodyKind::query}, data);

  for (const std::string& frame : {data, text(header_frame(wire::Heartbeat{77, 0, false}))}) {
    for (const Output& output :
         {ends.server_receives(ends.routing_id(), frame), ends.client_receives(frame)}) {
      REQUIRE(output.frames.size() == 1);
      CHECK(output.events.empty());
      wire::Reset reset;
      REQUIRE(wire::decode(output.frames[0].frame.view(), reset));
      CHECK(reset.session == 77);
    }
  }
  for (const std::string& frame :
       {text(header_frame(wire::Reset{77})), text(header_frame(wire::Bye{77, "x"}))}) {
    CHECK(ends.server_receives(ends.routing_id(), frame).frames.empty());
    CHECK(ends.client_receives(frame).frames.empty());
  }
  CHECK(ends.client().is_up());
  CHECK(ends.server().session_count() == 1);
}

TEST_CASE("A session is its routing id's alone") {
  Server server({Role::pipeline, "server", {8, 1}, ""}, Settings{});
  const TimePoint now{};
  Output output;
  server.receive("a#1", header_frame(some_hello("a", 1)).view(), now, output);
  wire::Welcome welcome;
  REQUIRE(wire::decode(output.frames.at(0).frame.view(), welcome));

  Output stolen;
  SECTION("data") {
    std::string data = TwoEnds::frame_of("x");
    wire::finish_data({welcome.session, 1, 0, wire::BodyKind::query}, data);
    server.receive("b#2", data, now, stolen);
    CHECK(type_of(stolen.frames.at(0)) == wire::FrameType::reset);
  }
  SECTION("goodbye") {
    server.receive("b#2", header_frame(wire::Bye{welcome.session, ""}).view(), now, stolen);
  }
  SECTION("reset") {
    server.receive("b#2", header_frame(wire::Reset{welcome.session}).view(), now, stolen);
  }
  SECTION("the same HELLO") {
    server.receive("b#2", header_frame(some_hello("a", 1)).view(), now, stolen);
    CHECK(type_of(stolen.frames.at(0)) == wire::FrameType::reset);
  }
  SECTION("somebody else's HELLO with the same number") {
    server.receive("b#2", header_frame(some_hello("b", 1)).view(), now, stolen);
    CHECK(type_of(stolen.frames.at(0)) == wire::FrameType::reset);
  }
  CHECK(stolen.events.empty());
  CHECK(server.session_count() == 1);
}

TEST_CASE("A client whose HELLO's number is taken draws another") {
  Client client({Role::task, "a", {1, 1}, ""}, Settings{}, 3);
  TimePoint now{};
  Output output;
  client.turn(now, output);
  wire::Hello first;
  REQUIRE(wire::decode(output.frames.at(0).frame.view(), first));
  client.receive(header_frame(wire::Reset{first.hello}).view(), now, output);
  CHECK(output.frames.size() == 1);
  now += 100ms;
  client.turn(now, output);
  wire::Hello second;
  REQUIRE(wire::decode(output.frames.at(1).frame.view(), second));
  CHECK(second.hello != first.hello);
  CHECK(output.events.empty());
}

TEST_CASE("Another protocol version is turned down with the reason") {
  Server server({Role::pipeline, "server", {8, 1}, ""}, Settings{});
  Client client({Role::task, "a", {1, 1}, ""}, Settings{}, 3);
  Output output;
  client.turn(TimePoint{}, output);
  wire::Hello hello;
  REQUIRE(wire::decode(output.frames.at(0).frame.view(), hello));
  hello.protocol = wire::kProtocolVersion + 1;
  Output answer;
  server.receive("a#1", header_frame(hello).view(), TimePoint{}, answer);
  CHECK(server.session_count() == 0);
  CHECK(server.counters().refused == 1);
  REQUIRE(answer.frames.size() == 1);
  CHECK(type_of(answer.frames[0]) == wire::FrameType::bye);

  client.receive(answer.frames[0].frame.view(), TimePoint{}, output);
  CHECK(client.last_refusal() == "protocol version 3, and this node speaks 2");
  CHECK(client.counters().refused == 1);
  REQUIRE(output.events.size() == 1);
  CHECK(output.events[0].kind == Event::Kind::refused);
  // It goes on asking, less often.
  CHECK(client.next_turn() == TimePoint{} + 1s);
}

TEST_CASE("A server holds no more sessions than its bound") {
  Server server({Role::pipeline, "server", {8, 1}, ""}, Settings{});
  Output output;
  for (std::uint64_t i = 1; i <= kMaxNodes; ++i) {
    server.receive("r", header_frame(some_hello("n" + std::to_string(i), i)).view(), TimePoint{},
                   output);
  }
  CHECK(server.session_count() == kMaxNodes);
  output = {};
  server.receive("r", header_frame(some_hello("one more", 9999)).view(), TimePoint{}, output);
  CHECK(server.session_count() == kMaxNodes);
  REQUIRE(output.frames.size() == 1);
  CHECK(type_of(output.frames[0]) == wire::FrameType::bye);
  REQUIRE(output.events.size() == 1);
  CHECK(*output.events[0].text == "it holds 4096 sessions, its most");
  // One that is known may still come again.
  output = {};
  server.receive("r", header_frame(some_hello("n1", 10'000)).view(), TimePoint{}, output);
  CHECK(output.events.size() == 2);
  CHECK(server.session_count() == kMaxNodes);
}

TEST_CASE("A HELLO without a name is malformed") {
  Server server({Role::pipeline, "server", {8, 1}, ""}, Settings{});
  Output output;
  server.receive("r", header_frame(some_hello("", 1)).view(), TimePoint{}, output);
  CHECK(output.frames.empty());
  CHECK(server.counters().malformed == 1);
}

TEST_CASE("Rubbish is counted and changes nothing") {
  TwoEnds ends;
  REQUIRE(ends.run_until_up());
  Random random(11);
  for (int i = 0; i < 20'000; ++i) {
    std::string frame(random.below(40), '\0');
    for (char& c : frame) c = static_cast<char>(random.next());
    // Half of them at least look like frames.
    if (i % 2 == 0 && frame.size() > 2) {
      frame[0] = static_cast<char>(0x90 + random.below(10));
      frame[1] = static_cast<char>(random.below(8));
    }
    ends.server_receives(ends.routing_id(), frame);
    ends.client_receives(frame);
    ends.reconnect();
  }
  CHECK(ends.client().counters().malformed > 10'000);
  CHECK(ends.server().counters().malformed > 10'000);
  ends.server_events.clear();
  ends.client_sends("still here");
  ends.run(100ms);
  CHECK(ends.client().is_up());
  CHECK(ends.server_events == Texts{"body still here"});
}

TEST_CASE("A server's turn does nothing before its time") {
  TwoEnds ends;
  REQUIRE(ends.run_until_up());
  ends.run(100ms);
  CHECK(ends.server().next_turn() > ends.now());
  CHECK(ends.client().next_turn() > ends.now());
  ends.client_sends("x");
  // It goes out and is confirmed within 20 ms; until then that is the next thing to do.
  ends.run(5ms);
  CHECK(ends.server().next_turn() <= ends.now() + 20ms);
}
