#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bench/workload.hpp"
#include "tempest/base/result.hpp"

namespace tempest::bench {

/// What one run gave.
struct Measured {
  double messages_per_second = 0;
  double cpu_us_per_message = 0;                               ///< Of all processes together.
  std::vector<std::pair<std::string, double>> cpu_us_by_kind;  ///< All workers are one.
  /// Of an open loop: from when a message was due to its ack.
  std::optional<std::array<double, 4>> latency_us;  ///< p50, p99, p99.9, longest.
  std::optional<double> frames_per_message;
  std::optional<double> messages_per_source_frame;
  double switches_per_message = 0;
  std::optional<double> syscalls_per_message;
  double in_flight = 0;  ///< Read and not acked, half way.
  std::uint64_t read = 0;
  std::uint64_t acked = 0;
  std::uint64_t duplicates = 0;  ///< Deliveries handled more often than needed.
};

/// Runs a workload once, in processes of its own, and checks that everything read was handled and
/// acked. Errors: `fail` if it was not; `unavailable` if it could not be run.
Result<Measured> measure(const Settings& settings);

}  // namespace tempest::bench
