#include "tempest/runtime/clock.hpp"

#include <chrono>

namespace tempest::runtime {

TimePoint monotonic_now() {
  return TimePoint(std::chrono::steady_clock::now().time_since_epoch());
}

}  // namespace tempest::runtime
