#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bench/syscall_counter.hpp"

#include "tempest/base/result.hpp"
#include "tempest/base/time.hpp"

namespace tempest::bench {

/// What a process has used up to now.
struct Usage {
  std::uint64_t cpu_ns = 0;  ///< User and system, of all its threads.
  std::uint64_t resident_bytes = 0;
  std::uint64_t syscalls = 0;  ///< If they are counted.
  std::uint64_t switches = 0;  ///< Voluntary context switches: how often it had to be woken.
};

/// A process that this one has started. It ends with this object, or with this process.
class Child {
 public:
  struct Streams {
    std::string error_file;       ///< Where its standard error goes; empty: where ours does.
    bool capture_output = false;  ///< Standard output, for output(); otherwise to /dev/null.
    bool count_syscalls = false;
  };

  /// `command[0]` is the program's file. Errors: `unavailable`.
  static Result<Child> start(std::string name, std::vector<std::string> command, Streams streams);
  Child(Child&& other) noexcept;
  Child& operator=(Child&& other) noexcept;
  ~Child();

  const std::string& name() const { return name_; }
  pid_t pid() const { return pid_; }
  /// While it runs; after its end, what it had used in all (without the memory).
  Usage usage() const;
  void signal(int number) const;
  /// Waits for its end; nothing if it has not come by then. The exit code, or 128 and the signal's
  /// number.
  std::optional<int> wait(Duration patience);
  bool has_ended() const { return exit_code_.has_value(); }
  /// After start() with capture_output and the process's end: what it wrote.
  std::string output() const;

 private:
  Child() = default;
  bool reap(int options);

  std::string name_;
  pid_t pid_ = -1;
  int output_ = -1;
  std::optional<int> exit_code_;
  Usage final_;
  std::unique_ptr<SyscallCounter> syscalls_;
};

}  // namespace tempest::bench
