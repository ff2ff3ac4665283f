#pragma once

#include <atomic>
#include <optional>
#include <string>

#include "tempest/base/result.hpp"
#include "tempest/base/time.hpp"
#include "tempest/link/node.hpp"
#include "tempest/runtime/logging.hpp"
#include "tempest/runtime/network.hpp"
#include "tempest/runtime/node_loop.hpp"
#include "tempest/runtime/stats_publisher.hpp"

namespace tempest::runtime {

class Transport;  // runtime/transport.hpp

/// A node in a loop: its connections and statistics, and the carrying out of its effects. Driven by
/// one thread at a time (runtime/loop_driver.hpp), but for wake() and request_stop().
class LoopMember {
 public:
  LoopMember(Transport& transport, NodeLoopOptions options);
  LoopMember(const LoopMember&) = delete;
  LoopMember& operator=(const LoopMember&) = delete;

  /// As those of NodeLoop.
  Result<void> bind();
  const std::string& bound_endpoint() const { return bound_endpoint_; }
  void wake();
  void request_stop(bool at_once);

  /// Its node's first turn.
  void begin(Node& node);
  /// Feeds the node what has come, and carries out what it wants.
  void step(TimePoint now);
  bool has_finished() const { return effects_.finished; }
  /// Once it has finished: the last statistics and goodbyes leave.
  void end();
  bool has_ended() const { return has_ended_; }
  int exit_code() const { return effects_.exit_code; }
  Node& node() const { return *node_; }

  Network& network() { return network_; }
  /// There is something to step for that no descriptor tells of.
  bool has_news() const {
    return wake_pending_.load() || stop_requests_.load() > stops_taken_ || network_.has_news();
  }
  /// Not later than this, step().
  TimePoint next_step() const { return next_step_; }

 private:
  void take_signals(TimePoint now);
  void carry_out(TimePoint now);
  void publish_stats(TimePoint now);

  Transport& transport_;
  NodeLoopOptions options_;
  Log log_;
  Network network_;
  Node* node_ = nullptr;
  std::atomic<bool> wake_pending_{false};
  std::atomic<int> stop_requests_{0};
  int stops_taken_ = 0;
  bool has_ended_ = false;
  TimePoint next_step_{};

  std::string bound_endpoint_;

  std::optional<StatsPublisher> stats_;  ///< From begin() to end().
  TimePoint stats_at_ = kNever;

  link::Effects effects_;
};

}  // namespace tempest::runtime
