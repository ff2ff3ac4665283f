#include "bench/syscall_counter.hpp"

#include <linux/perf_event.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <fstream>
#include <string>

namespace tempest::bench {

namespace {

/// The tracepoint's number; 0 if it cannot be had.
std::uint64_t tracepoint() {
  for (const char* folder : {"/sys/kernel/tracing", "/sys/kernel/debug/tracing"}) {
    std::ifstream file(std::string(folder) + "/events/raw_syscalls/sys_enter/id");
    std::uint64_t id = 0;
    if (file >> id) return id;
  }
  return 0;
}

}  // namespace

SyscallCounter::SyscallCounter(pid_t pid) {
  perf_event_attr attributes{};
  attributes.size = sizeof attributes;
  attributes.type = PERF_TYPE_TRACEPOINT;
  attributes.config = tracepoint();
  attributes.inherit = 1;
  if (attributes.config == 0) return;
  descriptor_ = static_cast<int>(
      ::syscall(SYS_perf_event_open, &attributes, pid, -1, -1, PERF_FLAG_FD_CLOEXEC));
}

SyscallCounter::~SyscallCounter() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

std::optional<std::uint64_t> SyscallCounter::count() const {
  std::uint64_t value = 0;
  if (descriptor_ < 0 || ::read(descriptor_, &value, sizeof value) != sizeof value) {
    return std::nullopt;
  }
  return value;
}

bool SyscallCounter::is_possible() {
  return SyscallCounter(::getpid()).count().has_value();
}

}  // namespace tempest::bench
