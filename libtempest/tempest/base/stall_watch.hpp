#pragma once

#include <cstdint>

#include "tempest/base/time.hpp"

namespace tempest {

/// Tells a node that has work and gets nowhere from one that is busy or idle: work, and a count of
/// what was done that has not moved for a set time.
class StallWatch {
 public:
  enum class Change { none, stalled, resumed };

  explicit StallWatch(Duration stall_after) : stall_after_(stall_after) {}

  /// At each turn: whether there is work, and how much has been done so far.
  Change observe(bool has_work, std::uint64_t done, TimePoint now) {
    if (!has_work || done != done_) {
      done_ = done;
      since_ = has_work ? now : kNever;
      if (!stalled_) return Change::none;
      stalled_ = false;
      return Change::resumed;
    }
    if (since_ == kNever) since_ = now;
    if (stalled_ || now - since_ < stall_after_) return Change::none;
    stalled_ = true;
    return Change::stalled;
  }

  bool stalled() const { return stalled_; }
  /// When observe() may have something to say.
  TimePoint next_turn() const {
    return stalled_ || since_ == kNever ? kNever : since_ + stall_after_;
  }

 private:
  Duration stall_after_;
  std::uint64_t done_ = 0;
  TimePoint since_ = kNever;
  bool stalled_ = false;
};

}  // namespace tempest
