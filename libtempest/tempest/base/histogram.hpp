#pragma once

#include <array>
#include <cstdint>

#include "tempest/base/time.hpp"

namespace tempest {

/// Durations in buckets that double: bucket 0 holds up to 1 us, bucket i up to 2^i us, the last
/// everything beyond. Fixed in size, so recording allocates nothing and two can be added up.
class Histogram {
 public:
  static constexpr std::size_t kBuckets = 32;

  void record(Duration value, std::uint64_t count = 1) {
    // What ends together mostly began together.
    if (value != last_) look_at(value);
    buckets_[last_bucket_] += count;
    count_ += count;
    sum_ns_ += last_ns_ * count;
  }
  void merge(const Histogram& other);

  std::uint64_t count() const { return count_; }
  /// Sum of all recorded durations, in nanoseconds.
  std::uint64_t sum_ns() const { return sum_ns_; }
  const std::array<std::uint64_t, kBuckets>& buckets() const { return buckets_; }
  /// The upper bound of a bucket.
  static Duration upper_bound(std::size_t bucket);
  /// The upper bound of the bucket in which this share (0 to 1) of the values is reached; zero if
  /// nothing was recorded.
  Duration quantile(double share) const;

  /// For decoding: replaces everything.
  void assign(const std::array<std::uint64_t, kBuckets>& buckets, std::uint64_t sum_ns);

 private:
  void look_at(Duration value);

  std::array<std::uint64_t, kBuckets> buckets_{};
  std::uint64_t count_ = 0;
  std::uint64_t sum_ns_ = 0;
  /// The last value that was recorded, what it counts as, and where.
  Duration last_{0};
  std::uint64_t last_ns_ = 0;
  std::size_t last_bucket_ = 0;
};

}  // namespace tempest
