#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "tempest/base/result.hpp"
#include "tempest/base/time.hpp"

namespace tempest::source_node {

/// What a source and its node have done up to now, for measurements: a file that is mapped into the
/// memory of whoever counts and whoever looks, so that looking costs the one who counts nothing.
/// Times are CLOCK_MONOTONIC's, which all processes of a machine share.
///
/// Latencies go into buckets of 1/64 of their size (HDR): a quantile is off by 1.6 % at most.
struct FlowRecord {
  static constexpr std::uint64_t kMagic = 0x3176'776f'6c66'7074;  // "tpflowv1"
  static constexpr unsigned kBucketBits = 6;
  static constexpr std::size_t kBuckets = 40ULL << kBucketBits;  // Up to 2^45 ns, ten hours.

  std::uint64_t magic = kMagic;
  /// Source::gives_again(), since the source was opened.
  std::atomic<bool> gives_again{true};
  /// Set by whoever looks: the source, if it is a finite one, ends here.
  std::atomic<bool> end{false};
  std::atomic<std::uint64_t> read{0};
  std::atomic<std::uint64_t> acked{0};
  std::atomic<std::uint64_t> first_read_ns{0};
  std::atomic<std::uint64_t> first_ack_ns{0};
  std::atomic<std::uint64_t> last_ack_ns{0};
  /// Of a source with a rate: from the moment a message was due to its ack.
  std::array<std::atomic<std::uint64_t>, kBuckets> latencies{};

  static std::size_t bucket_of(std::uint64_t nanoseconds);
  /// The highest value that falls into this bucket.
  static std::uint64_t upper_bound_ns(std::size_t bucket);
};

/// A FlowRecord in a file. The file stays when this goes.
class FlowRecordFile {
 public:
  /// Makes the file, or empties it. Errors: `unavailable`.
  static Result<FlowRecordFile> create(const std::string& path);
  /// Maps a file that create() has made. Errors: `unavailable`.
  static Result<FlowRecordFile> open(const std::string& path);

  FlowRecord& operator*() const { return *record_; }
  FlowRecord* operator->() const { return record_.get(); }

 private:
  static Result<FlowRecordFile> map(const std::string& path, int flags);

  std::shared_ptr<FlowRecord> record_;
};

}  // namespace tempest::source_node
