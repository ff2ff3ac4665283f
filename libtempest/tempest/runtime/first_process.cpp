#include "tempest/runtime/first_process.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "tempest/runtime/exit_guard.hpp"

namespace tempest::runtime {
namespace {

/// All that can be passed on; faults of this very process keep their effect.
sigset_t signals_to_pass_on() {
  sigset_t signals;
  sigfillset(&signals);
  for (const int fault :
       {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS, SIGTTIN, SIGTTOU}) {
    sigdelset(&signals, fault);
  }
  return signals;
}

/// Waits for whatever has ended. Returns whether `program` was among it, and then its exit code.
bool reap(pid_t program, int& exit_code) {
  bool ended = false;
  int status = 0;
  for (pid_t pid = 0; (pid = ::waitpid(-1, &status, WNOHANG)) > 0;) {
    if (pid != program) continue;
    ended = true;
    exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  return ended;
}

[[noreturn]] void reap_until_it_ends(pid_t program, const sigset_t& signals) {
  int exit_code = 0;
  while (!reap(program, exit_code)) {
    siginfo_t taken{};
    const int number = ::sigwaitinfo(&signals, &taken);
    // A terminal sends its signals to the whole foreground group: the program has had that one.
    if (number > 0 && number != SIGCHLD && taken.si_code != SI_KERNEL) ::kill(program, number);
  }
  end_process(exit_code);
}

}  // namespace

void stand_behind_first_process() {
  if (::getpid() != 1) return;
  const sigset_t signals = signals_to_pass_on();
  sigset_t before;
  ::sigprocmask(SIG_BLOCK, &signals, &before);
  const pid_t program = ::fork();
  if (program > 0) reap_until_it_ends(program, signals);
  // The program itself; or no process could be made, and it does without.
  ::sigprocmask(SIG_SETMASK, &before, nullptr);
}

}  // namespace tempest::runtime
