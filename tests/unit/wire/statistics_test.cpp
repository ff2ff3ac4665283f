#include <array>
#include <catch2/catch.hpp>
#include <string>

#include "tempest/wire/codec.hpp"

using namespace tempest;
using namespace tempest::wire;

TEST_CASE("Statistics that no node can have are refused") {
  const auto decodes_with = [](std::uint64_t uptime_ms, std::uint64_t bucket,
                               std::uint64_t sum_ns) {
    StatsReport report;
    report.node = "n";
    report.role = Role::task;
    report.uptime_ms = uptime_ms;
    std::array<std::uint64_t, Histogram::kBuckets> buckets{};
    buckets[3] = bucket;
    report.distributions.push_back({"tempest_task_handle_seconds", {}, {}});
    report.distributions.back().histogram.assign(buckets, sum_ns);
    std::string frame;
    encode(report, frame);
    StatsReport decoded;
    return static_cast<bool>(decode(frame, decoded));
  };
  CHECK(decodes_with(1'000, 1'000'000'000'000, 1ULL << 61));
  CHECK_FALSE(decodes_with((1ULL << 63) - 1, 1, 1));
  CHECK_FALSE(decodes_with(1'000, UINT64_MAX, 1));
  CHECK_FALSE(decodes_with(1'000, 1, UINT64_MAX));
}
