#pragma once

#include <map>
#include <optional>
#include <string>

#include "bench/workload.hpp"
#include "tempest/base/result.hpp"

namespace tempest::bench {

/// What the bare transport does with the same messages: see bench/ceiling/. By the names of
/// `tempest-ceiling --json`'s numbers.
using CeilingNumbers = std::map<std::string, double>;

/// Which of tempest-ceiling's measurements is the bound of this workload; empty: none.
std::string ceiling_of(const Settings& settings);

/// Runs it once: with frames of as many messages as ours have had. Errors: `unavailable`.
Result<CeilingNumbers> measure_ceiling(const Settings& settings, double messages_per_frame);

}  // namespace tempest::bench
