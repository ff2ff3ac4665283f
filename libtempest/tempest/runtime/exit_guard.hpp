#pragma once

#include <string_view>

/// What keeps user code from ending a program with success before its work is done.
namespace tempest::runtime {

/// While it lives, a call of exit(), _exit(), _Exit() or quick_exit() in this process, by whatever
/// thread, ends it with kExitInternal in place of the code that was asked for, and std::terminate()
/// by its signal; each with a line on standard error that says who did it. A task that calls
/// exit(0) would otherwise make a half-done run look like a finished one. Does not concern child
/// processes. One a process at a time.
class ExitGuard {
 public:
  /// `program`: as it is to be called in that line; must outlive this.
  explicit ExitGuard(const char* program);
  ~ExitGuard();
  ExitGuard(const ExitGuard&) = delete;
  ExitGuard& operator=(const ExitGuard&) = delete;
};

/// Ends the process at once with this code, guard or no guard, without running destructors: for a
/// program that has finished while a thread of user code has not.
[[noreturn]] void end_process(int code);

/// While it lives, this thread runs code of the task called `name`, which must outlive this: so
/// that the guard can name it. Costs two writes.
class InTask {
 public:
  explicit InTask(std::string_view name) : before_(current_) { current_ = name; }
  ~InTask() { current_ = before_; }
  InTask(const InTask&) = delete;
  InTask& operator=(const InTask&) = delete;

  /// The task whose code this thread runs; empty if none.
  static std::string_view current() { return current_; }

 private:
  static inline constinit thread_local std::string_view current_;
  std::string_view before_;
};

}  // namespace tempest::runtime
