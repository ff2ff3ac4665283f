#include "tempest/runtime/leadership.hpp"

#include <atomic>
#include <catch2/catch.hpp>
#include <thread>

#include "tempest/runtime/clock.hpp"

namespace tempest::runtime {

TEST_CASE("a loan that comes back in time leaves the leader its loop") {
  Leadership leadership;
  for (int i = 0; i < 3; ++i) {
    const auto token = leadership.lend(monotonic_now());
    CHECK(leadership.take_back(token));
    CHECK_FALSE(leadership.take_back(token));
  }
}

TEST_CASE("a loan that lasts is taken over, and whoever comes back late finds another leader") {
  Leadership leadership;
  const auto token = leadership.lend(monotonic_now());
  const TimePoint begin = monotonic_now();
  leadership.wait_to_lead();
  CHECK(monotonic_now() - begin >= Leadership::kPatience / 2);
  CHECK_FALSE(leadership.take_back(token));
  // The new leader's own loans are its own.
  const auto other = leadership.lend(monotonic_now());
  CHECK_FALSE(leadership.take_back(token));
  CHECK(leadership.take_back(other));
}

TEST_CASE("a loan that begins while the loop's own thread sleeps is watched, too") {
  Leadership leadership;
  std::atomic<bool> leads{false};
  std::thread own([&] {
    leadership.wait_to_lead();
    leads = true;
  });
  // Long enough for it to find no loans and to sleep: what follows holds either way.
  const TimePoint until = monotonic_now() + 50 * Leadership::kPatience;
  while (monotonic_now() < until) std::this_thread::yield();
  CHECK_FALSE(leads);
  leadership.lend(monotonic_now());
  own.join();
  CHECK(leads);
}

TEST_CASE("what is given back is led by the loop's own thread") {
  Leadership leadership;
  std::thread other([&] { leadership.give_back(); });
  leadership.wait_to_lead();
  other.join();
}

TEST_CASE("of two threads never both lead, and what one wrote the other reads") {
  Leadership leadership;
  int led = 0;  // The leader's only.
  std::atomic<int> counted{0};
  const auto lead = [&] {
    ++led;
    ++counted;
  };
  std::atomic<Leadership::Token> passed{0};
  std::atomic<bool> is_over{false};
  std::thread other([&] {
    for (int round = 0; !is_over; ++round) {
      const auto token = passed.exchange(0);
      bool leads = token != 0 && leadership.take_back(token);
      for (int i = 0; leads && i < 100; ++i) {
        lead();
        leads = leadership.take_back(leadership.lend(monotonic_now()));
      }
      if (!leads) {
        std::this_thread::yield();
      } else if (round % 2 == 0) {
        leadership.give_back();
      } else {
        // A call that does not come back: the own thread takes over at once.
        leadership.lend(monotonic_now() - Leadership::kPatience);
      }
    }
  });
  for (int round = 0; round < 500; ++round) {
    lead();
    passed = leadership.lend(monotonic_now());
    leadership.wait_to_lead();
  }
  is_over = true;
  other.join();
  CHECK(led == counted);
}

}  // namespace tempest::runtime
