#include <catch2/catch.hpp>
#include <string>

#include "two_ends.hpp"

using namespace tempest;
using namespace tempest::link;
using namespace std::chrono_literals;
using Texts = std::vector<std::string>;

namespace {

Texts numbers(int count) {
  Texts texts;
  for (int i = 0; i < count; ++i) texts.push_back(std::to_string(i));
  return texts;
}

}  // namespace

TEST_CASE("Frames arrive once and in order, both ways") {
  TwoEnds ends;
  REQUIRE(ends.run_until_up());
  for (const std::string& text : numbers(100)) {
    ends.client_sends(text);
    ends.server_sends(text);
  }
  ends.run(100ms);
  CHECK(TwoEnds::bodies(ends.server_events) == numbers(100));
  CHECK(TwoEnds::bodies(ends.client_events) == numbers(100));
  CHECK(ends.client().all_confirmed());
  CHECK(ends.server().all_confirmed());
  CHECK(ends.server().all_confirmed(ends.peer));
  CHECK(ends.client().counters().frames_resent == 0);
}

TEST_CASE("What the pipes lost in a reconnect is sent again") {
  TwoEnds ends;
  REQUIRE(ends.run_until_up());
  for (const std::string& text : numbers(50)) ends.client_sends(text);
  ends.reconnect();
  CHECK_FALSE(ends.client().all_confirmed());
  ends.run(400ms);
  CHECK(TwoEnds::bodies(ends.server_events) == numbers(50));
  CHECK(ends.client_events == Texts{"up server"});
}

TEST_CASE("A gap is reported and mended long before the resend timer") {
  TwoEnds ends;
  REQUIRE(ends.run_until_up());
  ends.client_sends("0");
  ends.reconnect();
  ends.client_sends("1");
  ends.client_sends("2");
  ends.run(30ms);
  CHECK(TwoEnds::bodies(ends.server_events) == numbers(3));
  CHECK(ends.server().counters().out_of_order == 2);
  CHECK(ends.client().counters().frames_resent == 3);
}

TEST_CASE("Frames that come twice count once") {
  TwoEnds ends;
  ends.copies = [] { return 2; };
  REQUIRE(ends.run_until_up());
  for (const std::string& text : numbers(20)) ends.client_sends(text);
  ends.run(1s);
  CHECK(TwoEnds::bodies(ends.server_events) == numbers(20));
  CHECK(ends.server().counters().duplicate == 20);
}

TEST_CASE("Resends of what is never confirmed become rarer") {
  TwoEnds ends;
  ends.settings().lease = 60s;
  ends.start_client();
  ends.start_server();
  REQUIRE(ends.run_until_up());
  ends.server_paused = true;
  ends.client_sends("0");
  ends.run(10s);
  // After 0.3, 0.9, 2.1, 4.1, 6.1, 8.1 s.
  CHECK(ends.client().counters().frames_resent == 6);
}

TEST_CASE("What arrives is confirmed soon, by itself or with what goes back") {
  TwoEnds ends;
  REQUIRE(ends.run_until_up());
  const std::uint64_t before = ends.server().counters().frames_sent;
  SECTION("alone, after the delay") {
    ends.client_sends("0");
    ends.run(20ms);
    CHECK(ends.server().counters().frames_sent == before);
    ends.run(15ms);
    CHECK(ends.server().counters().frames_sent == before + 1);
    CHECK(ends.client().all_confirmed());
  }
  SECTION("on an answer") {
    ends.client_sends("0");
    ends.run(5ms);
    ends.server_sends("answer");
    ends.run(15ms);
    CHECK(ends.client().all_confirmed());
    CHECK(ends.server().counters().frames_sent == before + 1);
  }
  SECTION("at once when many wait for it") {
    for (const std::string& text : numbers(32)) ends.client_sends(text);
    ends.run(10ms);
    CHECK(ends.client().all_confirmed());
  }
}

TEST_CASE("can_send is false while too much is unconfirmed") {
  TwoEnds ends;
  ends.settings().max_unacked_frames = 4;
  ends.settings().max_unacked_bytes = 1000;
  ends.start_client();
  ends.start_server();
  CHECK_FALSE(ends.client().can_send());
  REQUIRE(ends.run_until_up());
  CHECK(ends.client().can_send());
  SECTION("frames") {
    for (const std::string& text : numbers(4)) ends.client_sends(text);
  }
  SECTION("bytes") {
    ends.client_sends(std::string(1000, 'x'));
  }
  CHECK_FALSE(ends.client().can_send());
  ends.run(100ms);
  CHECK(ends.client().can_send());
}

TEST_CASE("A frame beyond the limit is counted and not sent, and the link goes on") {
  TwoEnds ends;
  REQUIRE(ends.run_until_up());
  ends.client_sends(std::string(kMaxFrameBytes, 'x'));
  ends.server_sends(std::string(kMaxFrameBytes, 'x'));
  ends.client_sends("0");
  ends.run(100ms);
  CHECK(ends.client().counters().oversize == 1);
  CHECK(ends.server().counters().oversize == 1);
  CHECK(ends.server_events == Texts{"up worker", "body 0"});
}

TEST_CASE("What is sent while the link is down goes nowhere") {
  TwoEnds ends;
  ends.client_sends("0");
  ends.server_sends("0");
  REQUIRE(ends.run_until_up());
  ends.run(1s);
  CHECK(ends.client_events == Texts{"up server"});
  CHECK(ends.server_events == Texts{"up worker"});
}

TEST_CASE("A confirmation of what was never sent is ignored") {
  const TimePoint now{};
  Session session(1, Settings{}, 3s, now);
  session.send(wire::BodyKind::query, TwoEnds::frame_of("0"), now);
  session.receive_heartbeat({1, 2, false}, now);
  CHECK(session.unacked_frames() == 1);
  session.receive_heartbeat({1, UINT64_MAX, true}, now);
  CHECK(session.unacked_frames() == 1);
  session.receive_heartbeat({1, 1, false}, now);
  CHECK(session.unacked_frames() == 0);
  CHECK(session.backlog().bytes == 0);
}

TEST_CASE("Under any loss, doubling and reconnects everything arrives once and in order") {
  constexpr int kFrames = 60;
  const Texts wanted = numbers(kFrames);
  for (std::uint64_t seed = 1; seed <= 1000; ++seed) {
    TwoEnds ends(seed);
    // So much loss would take three heartbeats in a row now and then.
    ends.settings().lease = 60s;
    ends.start_client();
    ends.start_server();
    Random chance(seed);
    ends.copies = [&] {
      const double roll = chance.fraction();
      return roll < 0.15 ? 0 : roll < 0.2 ? 2 : 1;
    };
    CAPTURE(seed);
    REQUIRE(ends.run_until_up());
    for (int sent = 0; sent < kFrames; ++sent) {
      ends.client_sends(std::to_string(sent));
      ends.server_sends(std::to_string(sent));
      if (chance.below(3) == 0) ends.run(5ms);
      if (chance.below(15) == 0) ends.reconnect();
    }
    REQUIRE(ends.run_until([&] {
      return TwoEnds::count(ends.server_events, "body") >= kFrames &&
             TwoEnds::count(ends.client_events, "body") >= kFrames &&
             ends.client().all_confirmed() && ends.server().all_confirmed();
    }));
    REQUIRE(TwoEnds::bodies(ends.server_events) == wanted);
    REQUIRE(TwoEnds::bodies(ends.client_events) == wanted);
    REQUIRE(TwoEnds::count(ends.client_events, "lost") == 0);
  }
}

TEST_CASE(
    "Under any restarts, cuts and pauses each session's frames arrive in order, and each up "
    "has one lost") {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    TwoEnds ends(seed);
    Random chance(seed * 7919);
    ends.copies = [&] { return chance.below(20) == 0 ? 0 : 1; };
    CAPTURE(seed);
    int sent = 0;
    for (int round = 0; round < 200; ++round) {
      switch (chance.below(40)) {
        case 0:
          ends.reconnect();
          break;
        case 1:
          // A process that dies is told nothing more.
          ends.client_events.push_back("died");
          ends.start_client();
          break;
        case 2:
          ends.server_events.push_back("died");
          ends.start_server();
          break;
        case 3:
          ends.client_paused = !ends.client_paused;
          break;
        case 4:
          ends.server_paused = !ends.server_paused;
          break;
        default:
          ends.client_sends(std::to_string(++sent));
          ends.server_sends(std::to_string(sent));
      }
      ends.run(std::chrono::milliseconds(chance.below(200)));
    }
    ends.client_paused = ends.server_paused = false;
    ends.copies = [] { return 1; };
    REQUIRE(ends.run_until_up());
    for (const Texts* events : {&ends.client_events, &ends.server_events}) {
      bool up = false;
      int last = 0;
      for (const std::string& event : *events) {
        if (event.starts_with("up")) {
          REQUIRE_FALSE(up);
          up = true;
        } else if (event.starts_with("lost")) {
          REQUIRE(up);
          up = false;
        } else if (event == "died") {
          up = false;
        } else {
          // Never twice, and never in another order, over all sessions.
          REQUIRE(up);
          REQUIRE(std::stoi(event.substr(5)) > last);
          last = std::stoi(event.substr(5));
        }
      }
    }
  }
}
