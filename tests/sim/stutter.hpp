#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "tempest/base/random.hpp"
#include "tempest/base/shared_bytes.hpp"
#include "tempest/wire/frames.hpp"

namespace tempest::sim {

/// A worker that answers what it has answered already, as one in another language might: in frames
/// that are in order, of the session that is up. Only the first answer may count.
class Stutter {
 public:
  explicit Stutter(std::uint64_t seed) : random_(seed) {}

  /// What is to go out in place of a frame: itself, or with some earlier results besides.
  SharedBytes add_to(const SharedBytes& frame);

 private:
  struct Said {
    DeliveryId id;
    wire::Results::Status status{};
  };
  struct Session {
    std::uint64_t last_sent = 0;
    std::vector<Said> said;
  };

  Random random_;
  std::map<std::uint64_t, Session> sessions_;
  wire::Results results_;
};

}  // namespace tempest::sim
