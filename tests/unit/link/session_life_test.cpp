#include <catch2/catch.hpp>

#include "two_ends.hpp"

using namespace tempest;
using namespace tempest::link;
using namespace std::chrono_literals;
using Texts = std::vector<std::string>;

TEST_CASE("Each end is told once that the other is there") {
  TwoEnds ends;
  ends.run(2s);
  CHECK(ends.client_events == Texts{"up server"});
  CHECK(ends.server_events == Texts{"up worker"});
  CHECK(ends.client().peer().name == "server");
  CHECK(ends.client().peer().role == Role::pipeline);
  REQUIRE(ends.server().peer(ends.peer) != nullptr);
  CHECK(ends.server().peer(ends.peer)->topology == "wordcount");
  CHECK(ends.server().peer(ends.peer)->incarnation == Incarnation{9, 1});
}

TEST_CASE("HELLO is said until it is answered") {
  TwoEnds ends;
  int frames = 0;
  ends.copies = [&] { return ++frames <= 5 ? 0 : 1; };
  ends.run(450ms);
  CHECK_FALSE(ends.client().is_up());
  CHECK(ends.client().counters().frames_sent == 5);
  ends.run(200ms);
  CHECK(ends.client().is_up());
  CHECK(ends.client_events == Texts{"up server"});
  CHECK(ends.server_events == Texts{"up worker"});
}

TEST_CASE("A lost WELCOME costs nothing but time, though the server has sent data already") {
  TwoEnds ends;
  REQUIRE(ends.run_until([&] { return ends.server().session_count() == 1; }));
  ends.server_sends("early");
  ends.reconnect();
  REQUIRE_FALSE(ends.client().is_up());
  ends.run(2s);
  CHECK(ends.client_events == Texts{"up server", "body early"});
  CHECK(ends.server_events == Texts{"up worker"});
}

TEST_CASE("Data that comes before the WELCOME is not answered with RESET") {
  TwoEnds ends;
  REQUIRE(ends.run_until([&] { return ends.server().session_count() == 1; }));
  ends.reconnect();
  std::string frame = TwoEnds::frame_of("early");
  wire::finish_data({12345, 1, 0, wire::BodyKind::query}, frame);
  CHECK(ends.client_receives(frame).frames.empty());
}

TEST_CASE("Silence beyond the lease is told once to each end, and the link comes back") {
  TwoEnds ends;
  REQUIRE(ends.run_until_up());
  ends.copies = [] { return 0; };
  ends.run(2900ms);
  CHECK(ends.client_events == Texts{"up server"});
  ends.run(20s);
  CHECK(ends.client_events == Texts{"up server", "lost lease"});
  CHECK(ends.server_events == Texts{"up worker", "lost lease"});
  CHECK(ends.client().counters().leases_lost == 1);
  CHECK(ends.server().counters().leases_lost == 1);
  CHECK(ends.server().peer(ends.peer) == nullptr);
  ends.copies = [] { return 1; };
  ends.run(1s);
  CHECK(ends.client_events == Texts{"up server", "lost lease", "up server"});
  CHECK(ends.server_events == Texts{"up worker", "lost lease", "up worker"});
}

TEST_CASE("An idle link stays up") {
  TwoEnds ends;
  REQUIRE(ends.run_until_up());
  ends.client_sends("word");
  ends.run(60s);
  CHECK(ends.client_events == Texts{"up server"});
  CHECK(ends.server_events == Texts{"up worker", "body word"});
  // A heartbeat a second, and next to nothing else.
  CHECK(ends.client().counters().frames_sent < 65);
  CHECK(ends.server().counters().frames_sent < 65);
}

TEST_CASE("Each end's lease is the one that it told the other") {
  TwoEnds ends;
  ends.settings().lease = 10s;
  ends.start_client();
  REQUIRE(ends.run_until_up());
  ends.client_sends("word");
  ends.run(100ms);
  ends.copies = [] { return 0; };
  ends.run(5s);
  // The server, started before, promised a sign of life every 3 s; the client every 10 s.
  CHECK(TwoEnds::count(ends.client_events, "lost lease") == 1);
  CHECK(TwoEnds::count(ends.server_events, "lost") == 0);
  ends.run(6s);
  CHECK(TwoEnds::count(ends.server_events, "lost lease") == 1);
}

TEST_CASE("A client that was started anew takes its former self's place") {
  TwoEnds ends;
  REQUIRE(ends.run_until_up());
  const PeerId former = ends.peer;
  ends.start_client();
  ends.run(1s);
  CHECK(ends.server_events == Texts{"up worker", "lost incarnation", "up worker"});
  CHECK(ends.server().session_count() == 1);
  CHECK(ends.server().peer(former) == nullptr);
  CHECK(ends.peer != former);
}

TEST_CASE("A server that was started anew knows no session, and the client opens another") {
  TwoEnds ends;
  REQUIRE(ends.run_until_up());
  ends.start_server();
  ends.server_events.clear();
  ends.client_sends("to nobody");
  ends.run(500ms);
  CHECK(ends.client_events == Texts{"up server", "lost reset", "up server"});
  CHECK(ends.server_events == Texts{"up worker"});
  ends.client_sends("again");
  ends.run(100ms);
  CHECK(ends.server_events == Texts{"up worker", "body again"});
}

TEST_CASE("A HELLO that reaches two lives of a server opens two sessions, never one") {
  const TimePoint now{};
  Client client({Role::task, "worker", {9, 1}, "wordcount"}, Settings{}, 5);
  Server first({Role::pipeline, "server", {8, 100}, ""}, Settings{});
  Server second({Role::pipeline, "server", {8, 101}, ""}, Settings{});
  Output hello;
  client.turn(now, hello);
  Output of_first;
  Output of_second;
  first.receive("worker", hello.frames.at(0).frame.view(), now, of_first);
  second.receive("worker", hello.frames.at(0).frame.view(), now, of_second);
  Output at_client;
  client.receive(of_first.frames.at(0).frame.view(), now, at_client);
  REQUIRE(client.is_up());

  SECTION("the second's WELCOME ends the first's session") {
    client.receive(of_second.frames.at(0).frame.view(), now, at_client);
    CHECK_FALSE(client.is_up());
    REQUIRE(at_client.events.size() == 2);
    CHECK(at_client.events[1].kind == Event::Kind::lost);
    CHECK(at_client.events[1].reason == LostReason::incarnation);
  }
  SECTION("neither takes a frame that was meant for the other") {
    client.send(wire::BodyKind::query, TwoEnds::frame_of("for the first"), now, at_client);
    Output at_second;
    second.receive("worker", at_client.frames.at(0).frame.view(), now, at_second);
    CHECK(at_second.events.empty());
    REQUIRE(at_second.frames.size() == 1);

    second.send(of_second.events.at(0).peer, wire::BodyKind::query,
                TwoEnds::frame_of("of the second"), now, at_second);
    client.receive(at_second.frames.at(1).frame.view(), now, at_client);
    CHECK(at_client.events.size() == 1);
    CHECK(client.is_up());
    // The second's RESET is for the session that it was asked about.
    client.receive(at_second.frames.at(0).frame.view(), now, at_client);
    CHECK(at_client.events.at(1).reason == LostReason::reset);
  }
}

TEST_CASE("A HELLO that comes late does not revive the session that it once opened") {
  TimePoint now{};
  Client client({Role::task, "worker", {9, 1}, "wordcount"}, Settings{}, 5);
  Server server({Role::pipeline, "server", {8, 100}, ""}, Settings{});
  Output hello;
  client.turn(now, hello);
  Output first;
  server.receive("worker", hello.frames.at(0).frame.view(), now, first);
  Output at_client;
  client.receive(first.frames.at(0).frame.view(), now, at_client);
  client.send(wire::BodyKind::query, TwoEnds::frame_of("one"), now, at_client);
  Output at_server;
  server.receive("worker", at_client.frames.at(0).frame.view(), now, at_server);

  // The client stops for a while. The server gives the session up; then that HELLO comes once more.
  now += 4s;
  server.turn(now, at_server);
  REQUIRE(at_server.events.back().kind == Event::Kind::lost);
  Output second;
  server.receive("worker", hello.frames.at(0).frame.view(), now, second);
  REQUIRE(second.events.size() == 1);

  SECTION("what the client says in the old session is not taken for the new one's") {
    client.send(wire::BodyKind::query, TwoEnds::frame_of("two"), now, at_client);
    at_server = {};
    server.receive("worker", at_client.frames.at(1).frame.view(), now, at_server);
    CHECK(at_server.events.empty());
    REQUIRE(at_server.frames.size() == 1);
    client.receive(at_server.frames[0].frame.view(), now, at_client);
    CHECK(at_client.events.back().reason == LostReason::reset);
  }
  SECTION("the new WELCOME tells the client that the old session is over") {
    client.receive(second.frames.at(0).frame.view(), now, at_client);
    CHECK(at_client.events.back().kind == Event::Kind::lost);
  }
}

TEST_CASE("Goodbye is told once to each end, and ends it") {
  SECTION("of the client") {
    TwoEnds ends;
    REQUIRE(ends.run_until_up());
    ends.close_client();
    ends.run(10s);
    CHECK(ends.client_events == Texts{"up server", "lost closed"});
    CHECK(ends.server_events == Texts{"up worker", "lost left"});
    CHECK(ends.client().next_turn() == kNever);
    CHECK(ends.server().next_turn() == kNever);
  }
  SECTION("of the server") {
    TwoEnds ends;
    REQUIRE(ends.run_until_up());
    ends.close_server();
    ends.run(10s);
    CHECK(ends.server_events == Texts{"up worker", "lost closed"});
    CHECK(ends.client_events == Texts{"up server", "lost left"});
    // It may come back.
    ends.start_server();
    ends.run(1s);
    CHECK(ends.client_events == Texts{"up server", "lost left", "up server"});
  }
}

TEST_CASE("No event of a session comes after its end") {
  TwoEnds ends;
  REQUIRE(ends.run_until_up());
  ends.client_sends("one");
  ends.server_sends("two");
  ends.close_client();
  ends.close_server();
  ends.run(5s);
  CHECK(ends.client_events == Texts{"up server", "lost closed"});
  CHECK(ends.server_events == Texts{"up worker", "lost closed"});
}

TEST_CASE("A short pause of either end is no loss") {
  TwoEnds ends;
  REQUIRE(ends.run_until_up());
  ends.client_sends("before");
  SECTION("client") {
    ends.client_paused = true;
  }
  SECTION("server") {
    ends.server_paused = true;
  }
  ends.server_sends("from server");
  ends.run(1800ms);
  ends.client_paused = ends.server_paused = false;
  ends.run(1s);
  CHECK(ends.client_events == Texts{"up server", "body from server"});
  CHECK(ends.server_events == Texts{"up worker", "body before"});
}

TEST_CASE("After a pause beyond the lease each end is told once, and the link comes back") {
  TwoEnds ends;
  REQUIRE(ends.run_until_up());
  SECTION("client") {
    ends.client_paused = true;
  }
  SECTION("server") {
    ends.server_paused = true;
  }
  ends.run(8s);
  ends.client_paused = ends.server_paused = false;
  ends.run(2s);
  CHECK(TwoEnds::count(ends.client_events, "lost") == 1);
  CHECK(TwoEnds::count(ends.server_events, "lost") == 1);
  CHECK(ends.client_events.back() == "up server");
  CHECK(ends.server_events.back() == "up worker");
}

TEST_CASE("A peer's absurd lease is made a sane one") {
  CHECK(lease_from_ms(0) == 100ms);
  CHECK(lease_from_ms(3000) == 3s);
  CHECK(lease_from_ms(3'600'000) == 60s);
  CHECK(lease_from_ms(UINT64_MAX) == 60s);
}

TEST_CASE("An opener that says nothing is turned out, whatever its lease") {
  TwoEnds ends;
  REQUIRE(ends.run_until_up());
  ends.run(9'900ms);
  CHECK(ends.server_events == Texts{"up worker"});
  ends.run(300ms);
  CHECK(ends.server_events == Texts{"up worker", "lost silent", "up worker"});
  CHECK(ends.client_events == Texts{"up server", "lost left", "up server"});
}

TEST_CASE("A stranger cannot keep a place by asking for a lease of an hour") {
  TwoEnds ends;
  wire::Hello hello;
  hello.hello = 77;
  hello.role = Role::task;
  hello.name = "stranger";
  hello.topology = "wordcount";
  hello.lease_ms = 3'600'000;
  std::string frame;
  wire::encode(hello, frame);
  ends.client_paused = true;
  ends.server_receives("stranger#", frame);
  REQUIRE(ends.server().session_count() == 1);
  SECTION("that says nothing") {
    ends.run(11s);
    CHECK(ends.server_events == Texts{"up stranger", "lost silent"});
  }
  SECTION("that says something once") {
    const Output welcomed = ends.server_receives("stranger#", frame);
    wire::Welcome welcome;
    REQUIRE(wire::decode(welcomed.frames.front().frame.view(), welcome));
    std::string word = TwoEnds::frame_of("word");
    wire::finish_data({welcome.session, 1, 0, wire::BodyKind::query}, word);
    ends.server_receives("stranger#", word);
    ends.run(59s);
    CHECK(ends.server().session_count() == 1);
    ends.run(2s);
    CHECK(ends.server_events == Texts{"up stranger", "body word", "lost lease"});
  }
  CHECK(ends.server().session_count() == 0);
}
