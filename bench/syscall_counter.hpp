#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>

namespace tempest::bench {

/// Counts the system calls of a process and of all its threads, as the kernel's tracepoint
/// raw_syscalls:sys_enter sees them. That needs a mounted tracefs, and the right to use
/// perf_event_open (root, as a rule). It makes each call some 100 ns longer.
class SyscallCounter {
 public:
  /// Threads that the process has already made are not counted.
  explicit SyscallCounter(pid_t pid);
  ~SyscallCounter();
  SyscallCounter(const SyscallCounter&) = delete;
  SyscallCounter& operator=(const SyscallCounter&) = delete;

  /// Nothing if they cannot be counted here.
  std::optional<std::uint64_t> count() const;

  static bool is_possible();

 private:
  int descriptor_ = -1;
};

}  // namespace tempest::bench
