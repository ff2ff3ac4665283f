#include "tempest/base/random.hpp"

#include <catch2/catch.hpp>
#include <set>

using namespace tempest;

TEST_CASE("A seed gives the numbers that splitmix64 gives everywhere") {
  // From the reference implementation by Sebastiano Vigna.
  Random random(1'234'567);
  CHECK(random.next() == 6457827717110365317ULL);
  CHECK(random.next() == 3203168211198807973ULL);
  CHECK(random.next() == 9817491932198370423ULL);
  CHECK(random.next() == 4593380528125082431ULL);
  CHECK(random.next() == 16408922859458223821ULL);
}

TEST_CASE("Numbers below a bound reach all of it and never the bound") {
  Random random(1);
  std::set<std::uint64_t> seen;
  for (int i = 0; i < 1000; ++i) seen.insert(random.below(10));
  CHECK(seen.size() == 10);
  CHECK(*seen.rbegin() == 9);
}

TEST_CASE("Fractions lie between 0 and 1, evenly enough") {
  Random random(2);
  double sum = 0;
  for (int i = 0; i < 10'000; ++i) {
    const double fraction = random.fraction();
    REQUIRE(fraction >= 0);
    REQUIRE(fraction < 1);
    sum += fraction;
  }
  CHECK(sum / 10'000 == Approx(0.5).margin(0.02));
}
