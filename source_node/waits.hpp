#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>

#include "tempest/base/time.hpp"

namespace tempest::source_node {

/// Waits that double from `initial` to `max`, which none ever exceeds.
class DoublingWait {
 public:
  DoublingWait(Duration initial, Duration max) : initial_(initial), max_(max), next_(initial) {}

  /// The wait to make now.
  Duration take() {
    const Duration wait = std::min(next_, max_);
    // Doubled only below the bound, so that it cannot overflow either.
    next_ = wait < max_ ? std::max(wait * 2, Duration(1)) : max_;
    return wait;
  }
  void reset() { next_ = initial_; }

 private:
  Duration initial_;
  Duration max_;
  Duration next_;
};

/// Something outside that may be away for a while (a Redis): when to try it again, and when to say
/// so. Tries are 100 ms apart at first, 5 s at most.
class AwayWatch {
 public:
  /// It could not be reached. True if that is news.
  bool failed(TimePoint now) {
    // Several requests may fail of one cause: the wait grows once for them all.
    if (now >= retry_at_) retry_at_ = now + wait_.take();
    return !std::exchange(away_, true);
  }
  /// It answered. True if that is news.
  bool worked() {
    wait_.reset();
    retry_at_ = {};
    return std::exchange(away_, false);
  }

  bool is_away() const { return away_; }
  bool may_try(TimePoint now) const { return now >= retry_at_; }
  /// The moment from which may_try(); the past if it may now.
  TimePoint retry_at() const { return retry_at_; }

 private:
  DoublingWait wait_{std::chrono::milliseconds(100), std::chrono::seconds(5)};
  TimePoint retry_at_{};
  bool away_ = false;
};

/// For what may happen a million times and should be told of: once at first, then at most once in
/// each interval, with the number of all since.
class Throttle {
 public:
  explicit Throttle(Duration interval) : interval_(interval) {}

  /// One more has happened. The number to report now, or 0.
  std::uint64_t count(TimePoint now) {
    ++since_;
    if (now < next_) return 0;
    next_ = now + interval_;
    return std::exchange(since_, 0);
  }

 private:
  Duration interval_;
  TimePoint next_{};
  std::uint64_t since_ = 0;
};

}  // namespace tempest::source_node
