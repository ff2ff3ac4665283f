#include "tempest/base/histogram.hpp"

#include <catch2/catch.hpp>

using namespace tempest;
using namespace std::chrono_literals;

namespace {

std::size_t bucket_of(Duration value) {
  Histogram histogram;
  histogram.record(value);
  for (std::size_t i = 0; i < Histogram::kBuckets; ++i) {
    if (histogram.buckets()[i] == 1) return i;
  }
  return Histogram::kBuckets;
}

}  // namespace

TEST_CASE("A duration falls into the first bucket whose bound it does not exceed") {
  CHECK(bucket_of(0ns) == 0);
  CHECK(bucket_of(1us) == 0);
  CHECK(bucket_of(1001ns) == 1);
  CHECK(bucket_of(2us) == 1);
  CHECK(bucket_of(2001ns) == 2);
  CHECK(bucket_of(1ms) == 10);
  for (std::size_t i = 0; i + 1 < Histogram::kBuckets; ++i) {
    CHECK(bucket_of(Histogram::upper_bound(i)) == i);
    CHECK(bucket_of(Histogram::upper_bound(i) + 1ns) == i + 1);
  }
}

TEST_CASE("What is absurd falls into the ends") {
  CHECK(bucket_of(-1s) == 0);
  CHECK(bucket_of(10'000h) == Histogram::kBuckets - 1);
}

TEST_CASE("Counts and sums are kept exactly") {
  Histogram histogram;
  histogram.record(3us);
  histogram.record(5ms, 10);
  CHECK(histogram.count() == 11);
  CHECK(histogram.sum_ns() == 3'000 + 10 * 5'000'000);
  Histogram other;
  other.record(1us, 2);
  other.merge(histogram);
  CHECK(other.count() == 13);
  CHECK(other.sum_ns() == histogram.sum_ns() + 2'000);
}

TEST_CASE("A quantile is the bound of the bucket in which it lies") {
  Histogram histogram;
  CHECK(histogram.quantile(0.5) == 0ns);
  histogram.record(3us, 90);
  histogram.record(900us, 10);
  CHECK(histogram.quantile(0) == 4us);
  CHECK(histogram.quantile(0.5) == 4us);
  CHECK(histogram.quantile(0.9) == 4us);
  CHECK(histogram.quantile(0.91) == 1024us);
  CHECK(histogram.quantile(1) == 1024us);
}

TEST_CASE("A histogram that was sent is the one that was made") {
  Histogram histogram;
  histogram.record(3us, 7);
  histogram.record(2s);
  Histogram received;
  received.record(1h);
  received.assign(histogram.buckets(), histogram.sum_ns());
  CHECK(received.count() == histogram.count());
  CHECK(received.sum_ns() == histogram.sum_ns());
  CHECK(received.buckets() == histogram.buckets());
}
