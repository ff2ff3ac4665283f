#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <vector>

namespace tempest::ceiling {

/// What the processes of one measurement share.
struct Board {
  std::atomic<std::uint64_t> done{0};  ///< Messages.
  std::atomic<bool> stop{false};
  std::atomic<bool> ready{false};  ///< The endpoint can be read.
  char endpoint[256] = {};
};

/// One process for each role, forked off this one, which must have no threads and no ZeroMQ
/// context. They end with this object.
class RoleProcesses {
 public:
  explicit RoleProcesses(const std::vector<std::function<void(Board&)>>& roles);
  ~RoleProcesses();
  RoleProcesses(const RoleProcesses&) = delete;
  RoleProcesses& operator=(const RoleProcesses&) = delete;

  Board& board() { return *board_; }
  /// CPU time of all of them.
  std::uint64_t cpu_ns() const;

 private:
  Board* board_;
  std::vector<pid_t> pids_;
};

void sleep_seconds(double seconds);
std::uint64_t now_ns();

}  // namespace tempest::ceiling
