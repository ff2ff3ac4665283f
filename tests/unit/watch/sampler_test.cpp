#include "tempest/watch/sampler.hpp"

#include <catch2/catch.hpp>

using namespace tempest;
using namespace tempest::watch;
using namespace std::chrono_literals;

namespace {

constexpr TimePoint kStart{std::chrono::hours(1)};

wire::Watch watch_with(std::uint32_t every, std::uint32_t per_second, std::string text = {}) {
  wire::Watch watch;
  watch.id = 1;
  watch.every = every;
  watch.per_second = per_second;
  watch.text = std::move(text);
  return watch;
}

/// Of `count` messages that come at once, how many are taken.
std::size_t taken(Sampler& sampler, std::size_t count, TimePoint now) {
  if (!sampler.begin(count, now)) return 0;
  std::size_t taken = 0;
  for (std::size_t i = 0; i < count; ++i) taken += sampler.takes("key", "payload") ? 1 : 0;
  return taken;
}

}  // namespace

TEST_CASE("no more messages are chosen than the rate allows, however many come") {
  Sampler sampler(watch_with(1, 10));
  CHECK(taken(sampler, 1000, kStart) == 10);
  CHECK(taken(sampler, 1000, kStart + 50ms) == 0);
  std::size_t all = 0;
  for (int ms = 0; ms <= 10'000; ms += 20) {
    all += taken(sampler, 1000, kStart + std::chrono::milliseconds(ms));
  }
  CHECK(all >= 99);
  CHECK(all <= 101);
  CHECK(taken(sampler, 1000, kStart + 1h) == 10);
}

TEST_CASE("one of so many messages is chosen, and not always at the same place of a round") {
  Sampler sampler(watch_with(100, 10'000));
  std::size_t all = 0;
  std::size_t even = 0;
  REQUIRE(sampler.begin(100'000, kStart));
  for (int i = 0; i < 100'000; ++i) {
    const bool takes = sampler.takes({}, "x");
    all += takes ? 1 : 0;
    even += takes && i % 2 == 0 ? 1 : 0;
  }
  CHECK(all > 800);
  CHECK(all < 1200);
  CHECK(even > all / 4);
  CHECK(even < all * 3 / 4);
  CHECK(sampler.seen() == 100'000);
}

TEST_CASE("only messages that hold the text are chosen, and only those count for the rate") {
  Sampler sampler(watch_with(1, 2, "needle"));
  REQUIRE(sampler.begin(6, kStart));
  CHECK_FALSE(sampler.takes("k", "hay"));
  CHECK(sampler.takes("k", "hay needle hay"));
  CHECK_FALSE(sampler.takes("k", "needl"));
  CHECK(sampler.takes("needle", "hay"));
  CHECK_FALSE(sampler.takes("k", "needle"));
}

TEST_CASE("a text is looked for in so many bytes a second, and what is passed over is counted") {
  Sampler sampler(watch_with(1, 10'000, "needle"));
  const std::string megabyte(1 << 20, 'x');
  REQUIRE(sampler.begin(100, kStart));
  for (int i = 0; i < 100; ++i) sampler.takes({}, megabyte);
  CHECK(sampler.passed_over() == 84);
  REQUIRE(sampler.begin(1, kStart + 1s));
  CHECK(sampler.takes({}, megabyte.substr(0, 100) + "needle"));
}
