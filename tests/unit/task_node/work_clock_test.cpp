#include "task_node/work_clock.hpp"

#include <catch2/catch.hpp>

using std::chrono::seconds;
using tempest::kNever;
using tempest::TimePoint;
using tempest::task_node::WorkClock;

TEST_CASE("a clock of work goes as the monotonic clock does while it is looked at") {
  WorkClock clock;
  TimePoint now(seconds(50));
  clock.look(now);
  const TimePoint began = clock.now();
  for (int i = 0; i < 100; ++i) clock.look(now += WorkClock::kInterval);
  CHECK(clock.now() - began == 100 * WorkClock::kInterval);
}

TEST_CASE("a clock of work counts a tenth of a second of a gap, however long it was") {
  WorkClock clock;
  TimePoint now(seconds(50));
  clock.look(now);
  const TimePoint began = clock.now();
  clock.look(now += std::chrono::hours(8));
  CHECK(clock.now() - began == std::chrono::milliseconds(100));
  CHECK(clock.real(clock.now() + seconds(1)) == now + seconds(1));
  CHECK(clock.real(kNever) == kNever);
}
