#include "tempest/runtime/exit_guard.hpp"

#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <exception>

#include "tempest/runtime/exit_code.hpp"

namespace tempest::runtime {
namespace {

/// The process that is guarded; 0: none. A child made by fork() has another.
std::atomic<pid_t> guarded_process{0};
std::atomic<const char*> program_name{nullptr};
std::terminate_handler terminate_before = nullptr;

bool is_guarded() {
  return guarded_process.load(std::memory_order_relaxed) == ::getpid();
}

[[noreturn]] void end_now(int code) {
  for (;;) ::syscall(SYS_exit_group, code);
}

/// Writes one line, without buffers or locks that another thread may hold.
void say(const char* what) {
  const std::string_view task = InTask::current();
  char line[512];
  const int length =
      task.empty()
          ? std::snprintf(line, sizeof line, "%s: %s was called before the work was done\n",
                          program_name.load(), what)
          : std::snprintf(line, sizeof line,
                          "%s: task \"%.*s\" called %s before the work was done\n",
                          program_name.load(), static_cast<int>(task.size()), task.data(), what);
  if (length <= 0) return;
  const auto size = std::min(static_cast<std::size_t>(length), sizeof line - 1);
  static_cast<void>(!::write(STDERR_FILENO, line, size));
}

[[noreturn]] void refuse(const char* what) {
  say(what);
  end_now(kExitInternal);
}

void refuse_with_code(const char* function, int code) {
  char what[32];
  std::snprintf(what, sizeof what, "%s(%d)", function, code);
  refuse(what);
}

void at_exit(int code, void* /*nothing*/) {
  if (is_guarded()) refuse_with_code("exit", code);
}

void at_quick_exit() {
  if (is_guarded()) refuse("quick_exit()");
}

[[noreturn]] void at_terminate() {
  if (is_guarded()) say("std::terminate()");
  if (terminate_before != nullptr) terminate_before();
  std::abort();
}

}  // namespace

ExitGuard::ExitGuard(const char* program) {
  program_name = program;
  guarded_process = ::getpid();
  // For good, and once: what is registered cannot be taken back.
  static const bool registered = [] {
    ::on_exit(at_exit, nullptr);
    std::at_quick_exit(at_quick_exit);
    return true;
  }();
  static_cast<void>(registered);
  terminate_before = std::set_terminate(at_terminate);
}

ExitGuard::~ExitGuard() {
  guarded_process = 0;
  std::set_terminate(terminate_before);
}

void end_process(int code) {
  guarded_process = 0;
  end_now(code);
}

}  // namespace tempest::runtime

// These take the place of the C library's for everything in the process, task libraries included:
// what calls them passes by all that exit() runs.

extern "C" __attribute__((noreturn, visibility("default"))) void _exit(int code) {
  if (tempest::runtime::is_guarded()) tempest::runtime::refuse_with_code("_exit", code);
  tempest::runtime::end_now(code);
}

extern "C" __attribute__((noreturn, visibility("default"))) void _Exit(int code) noexcept {
  if (tempest::runtime::is_guarded()) tempest::runtime::refuse_with_code("_Exit", code);
  tempest::runtime::end_now(code);
}
