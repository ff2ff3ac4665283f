#include "bench/scratch_run.hpp"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "tempest/runtime/scratch_folder.hpp"

namespace tempest::bench {

namespace {

/// Waits until `child` has ended, and passes on as SIGKILL what asks this process to end.
int wait_for(pid_t child, const sigset_t& signals) {
  int ended_by = 0;
  for (int status = 0;;) {
    const pid_t ended = ::waitpid(child, &status, WNOHANG);
    if (ended == child) {
      if (ended_by != 0) return 128 + ended_by;
      return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }
    const int taken = ::sigwaitinfo(&signals, nullptr);
    if (taken <= 0 || taken == SIGCHLD) continue;
    ended_by = taken;
    ::kill(child, SIGKILL);
  }
}

}  // namespace

int run_apart(const std::function<int()>& work) {
  sigset_t signals{};
  sigset_t before{};
  sigemptyset(&signals);
  for (const int number : {SIGCHLD, SIGTERM, SIGINT, SIGHUP}) sigaddset(&signals, number);
  const runtime::ScratchFolder folder("tempest-bench-");
  ::sigprocmask(SIG_BLOCK, &signals, &before);
  // The work's own children are killed with it, and are this process's to wait for then.
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child <= 0) {
    if (child == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (::getppid() != parent) ::_exit(0);
      if (folder.exists()) ::setenv("TMPDIR", folder.path().c_str(), 1);
    }
    ::sigprocmask(SIG_SETMASK, &before, nullptr);
    return work();
  }
  const int exit_code = wait_for(child, signals);
  while (::waitpid(-1, nullptr, 0) > 0 || errno == EINTR) {
  }
  ::sigprocmask(SIG_SETMASK, &before, nullptr);
  return exit_code;
}

}  // namespace tempest::bench
