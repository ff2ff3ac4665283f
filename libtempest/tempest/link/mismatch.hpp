#pragma once

#include <string>
#include <string_view>

#include "tempest/base/ids.hpp"

namespace tempest::link {

/// One side of a link as the other means it, or as it is. Views live as long as their frames.
struct Party {
  std::string_view name;
  Incarnation incarnation;
  std::string_view topology;
};

/// Returns why `found` is not whom `meant` describes, in words for both logs; empty if it is. A
/// name or incarnation that `meant` leaves empty is not compared; a node without a topology (a
/// broker) serves all.
std::string mismatch(const Party& meant, const Party& found);

}  // namespace tempest::link
