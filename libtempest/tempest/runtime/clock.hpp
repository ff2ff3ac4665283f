#pragma once

#include "tempest/base/time.hpp"

namespace tempest::runtime {

/// The monotonic clock (CLOCK_MONOTONIC), for shells to tell their machines.
TimePoint monotonic_now();

}  // namespace tempest::runtime
