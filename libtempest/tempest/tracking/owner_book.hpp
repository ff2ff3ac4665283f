#pragma once

#include <algorithm>
#include <cassert>
#include <cstdint>
#include <vector>

#include "tempest/base/ids.hpp"
#include "tempest/base/limits.hpp"

namespace tempest::tracking {

/// The sources that have trees, by a small number that a tree has room for. A number is good until
/// its source is forgotten, and used again after that. Sources have sessions, so there are at most
/// kMaxNodes of them at a time.
class OwnerBook {
 public:
  static_assert(kMaxNodes < 0xffff);

  std::uint16_t number_of(PeerId owner) {
    // Messages come in frames of one source.
    if (last_ < owners_.size() && owners_[last_] == owner) return last_;
    auto place = std::find(owners_.begin(), owners_.end(), owner);
    if (place == owners_.end()) place = std::find(owners_.begin(), owners_.end(), PeerId{});
    if (place == owners_.end()) place = owners_.insert(place, owner);
    *place = owner;
    last_ = static_cast<std::uint16_t>(place - owners_.begin());
    assert(owners_.size() <= kMaxNodes);
    return last_;
  }
  PeerId owner(std::uint16_t number) const { return owners_[number]; }

  /// None of its trees is left.
  void forget(PeerId owner) { std::replace(owners_.begin(), owners_.end(), owner, PeerId{}); }

 private:
  std::vector<PeerId> owners_;  ///< PeerId{}: a number that is free.
  std::uint16_t last_ = 0;
};

}  // namespace tempest::tracking
