#include "bench/flow_check.hpp"

#include <catch2/catch.hpp>

using namespace tempest::bench;

namespace {

Settings fan_of_4() {
  Settings settings;
  settings.workload = "fan";
  settings.fan_out = 4;
  return settings;
}

NodeCounts all_of(std::uint64_t messages) {
  NodeCounts counts;
  counts.read = messages;
  counts.acked = messages;
  counts.handled = {messages, 4 * messages};
  return counts;
}

}  // namespace

TEST_CASE("a run in which everything was read, handled and acked is right") {
  CHECK(check_flow(fan_of_4(), {100, 100}, all_of(100)));
}

TEST_CASE("deliveries that were handled twice do no harm") {
  NodeCounts counts = all_of(100);
  counts.handled[1] += 3;
  CHECK(check_flow(fan_of_4(), {100, 100}, counts));
}

TEST_CASE("a run fails if anything is missing anywhere") {
  CHECK_FALSE(check_flow(fan_of_4(), {100, 99}, all_of(100)));
  CHECK_FALSE(check_flow(fan_of_4(), {101, 101}, all_of(100)));
  NodeCounts counts = all_of(100);
  counts.acked = 99;
  CHECK_FALSE(check_flow(fan_of_4(), {100, 100}, counts));
  counts = all_of(100);
  counts.handled[1] = 399;
  const auto checked = check_flow(fan_of_4(), {100, 100}, counts);
  REQUIRE_FALSE(checked);
  CHECK(checked.error().code == tempest::ErrorCode::fail);
  CHECK(checked.error().message == "the task drop handled 399 deliveries of 400");
}

TEST_CASE("a run that was to have a number of messages fails with another") {
  Settings settings = fan_of_4();
  settings.count = 101;
  CHECK_FALSE(check_flow(settings, {100, 100}, all_of(100)));
}
