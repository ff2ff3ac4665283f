#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "tempest/base/time.hpp"
#include "tempest/wire/frames.hpp"

namespace tempest::watch {

/// Chooses the messages that one watch is shown, of all that come by at one node: one of so many,
/// at most so many a second, and only those that hold its text. Looking for a text is bounded as
/// well, so that a watch costs a node little whatever comes by.
class Sampler {
 public:
  explicit Sampler(const wire::Watch& watch);

  /// So many messages come by now; each is then to be shown to takes(), or none of them if this is
  /// false.
  bool begin(std::size_t count, TimePoint now);
  bool takes(std::string_view key, std::string_view payload);

  /// True if one could be taken now.
  bool has_room(TimePoint now) const;

  /// Messages that came by, so far.
  std::uint64_t seen() const { return seen_; }
  /// Of these, messages in which the text was not looked for: that would have cost too much.
  std::uint64_t passed_over() const { return passed_over_; }

  /// The most bytes a second in which a text is looked for.
  static constexpr double kScannedBytesPerSecond = 16.0 * (1 << 20);

 private:
  std::string text_;
  std::uint32_t every_;
  double per_second_;
  double tokens_;  ///< How many may be taken now.
  double scan_bytes_ = kScannedBytesPerSecond;
  TimePoint filled_at_ = kNever;  ///< kNever: not yet.
  std::uint64_t seen_ = 0;
  std::uint64_t considered_ = 0;
  std::uint64_t passed_over_ = 0;
};

}  // namespace tempest::watch
