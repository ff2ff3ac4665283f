#pragma once

#include <atomic>
#include <chrono>
#include <mutex>
#include <string>

#include "stats_node/stats_machine.hpp"

namespace tempest::stats_node {

/// What the three threads of a stats node share: the bus thread writes, the HTTP thread reads, the
/// node's loop says how it is. Every member function may be called from any thread.
class StatsBoard {
 public:
  /// A report has come in.
  void take(const wire::StatsReport& report, TimePoint now);
  /// A frame has come in that is no report.
  void count_malformed() { ++malformed_; }
  /// Makes the aggregate anew, for aggregate_json() and for the caller. `time`: RFC 3339.
  std::string make_aggregate(const std::string& time, TimePoint now);

  /// The last aggregate made.
  std::string aggregate_json() const;
  std::string metrics(TimePoint now) const;
  StatsMachine::Counters counters() const;
  std::uint64_t malformed() const { return malformed_; }

  void set_brokers_up(std::size_t count) { brokers_up_ = count; }
  void set_draining() { draining_ = true; }
  /// Why the node is not alive, or not ready; empty if it is.
  std::string not_alive(TimePoint now) const;
  std::string not_ready(TimePoint now) const;

 private:
  /// Which node of which topology is stalled; empty if none is.
  std::string standstill(TimePoint now) const;

  mutable std::mutex mutex_;
  StatsMachine machine_;
  std::string aggregate_json_ = "{}";
  std::atomic<std::int64_t> made_at_ns_{0};
  std::atomic<std::uint64_t> malformed_{0};
  std::atomic<std::size_t> brokers_up_{0};
  std::atomic<bool> draining_{false};
};

}  // namespace tempest::stats_node
