#include "tempest/base/stall_watch.hpp"

#include <catch2/catch.hpp>

using namespace tempest;
using namespace std::chrono_literals;
using Change = StallWatch::Change;

TEST_CASE("a node without work is never stalled") {
  StallWatch watch(10s);
  TimePoint now{};
  for (int i = 0; i < 100; ++i) CHECK(watch.observe(false, 0, now += 1s) == Change::none);
  CHECK(watch.next_turn() == kNever);
}

TEST_CASE("a node that gets something done is not stalled, however slow") {
  StallWatch watch(10s);
  TimePoint now{};
  std::uint64_t done = 0;
  for (int i = 0; i < 100; ++i) CHECK(watch.observe(true, ++done, now += 9s) == Change::none);
}

TEST_CASE("work without progress for the set time is a stall, said once, and so is its end") {
  StallWatch watch(10s);
  TimePoint now{};
  CHECK(watch.observe(true, 5, now) == Change::none);
  CHECK(watch.next_turn() == now + 10s);
  CHECK(watch.observe(true, 5, now + 9s) == Change::none);
  CHECK(watch.observe(true, 5, now + 10s) == Change::stalled);
  CHECK(watch.stalled());
  CHECK(watch.observe(true, 5, now + 60s) == Change::none);
  CHECK(watch.observe(true, 6, now + 61s) == Change::resumed);
  CHECK_FALSE(watch.stalled());
}

TEST_CASE("the time of a stall is counted from when the work came") {
  StallWatch watch(10s);
  TimePoint now{};
  CHECK(watch.observe(false, 5, now) == Change::none);
  now += 1h;
  CHECK(watch.observe(true, 5, now) == Change::none);
  CHECK(watch.observe(true, 5, now + 9s) == Change::none);
  CHECK(watch.observe(true, 5, now + 10s) == Change::stalled);
  CHECK(watch.observe(false, 5, now + 11s) == Change::resumed);
}
