#include "tempest/base/histogram.hpp"

#include <algorithm>
#include <bit>
#include <numeric>

namespace tempest {

void Histogram::look_at(Duration value) {
  const auto ns = static_cast<std::uint64_t>(std::max<Duration::rep>(value.count(), 0));
  // The smallest i with ns <= 2^i us.
  const std::uint64_t whole_us = (ns + 999) / 1000;
  const std::size_t bucket =
      whole_us <= 1 ? 0 : static_cast<std::size_t>(std::bit_width(whole_us - 1));
  last_ = value;
  last_ns_ = ns;
  last_bucket_ = std::min(bucket, kBuckets - 1);
}

void Histogram::merge(const Histogram& other) {
  for (std::size_t i = 0; i < kBuckets; ++i) buckets_[i] += other.buckets_[i];
  count_ += other.count_;
  // Of many nodes it may be more than can be said.
  sum_ns_ = sum_ns_ > UINT64_MAX - other.sum_ns_ ? UINT64_MAX : sum_ns_ + other.sum_ns_;
}

Duration Histogram::upper_bound(std::size_t bucket) {
  return std::chrono::microseconds(std::int64_t{1} << bucket);
}

Duration Histogram::quantile(double share) const {
  if (count_ == 0) return Duration::zero();
  const double wanted = share * static_cast<double>(count_);
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i < kBuckets; ++i) {
    seen += buckets_[i];
    if (static_cast<double>(seen) >= wanted && seen > 0) return upper_bound(i);
  }
  return upper_bound(kBuckets - 1);
}

void Histogram::assign(const std::array<std::uint64_t, kBuckets>& buckets, std::uint64_t sum_ns) {
  buckets_ = buckets;
  sum_ns_ = sum_ns;
  count_ = std::accumulate(buckets.begin(), buckets.end(), std::uint64_t{0});
}

}  // namespace tempest
