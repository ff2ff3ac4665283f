#include "tempest/runtime/process_guard.hpp"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <functional>

using namespace tempest;

namespace {

/// Does `work` in a process of its own, since what it does is a process's.
bool holds_in_process(const std::function<bool()>& work) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(work() ? 0 : 1);
  int status = 0;
  return ::waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

}  // namespace

TEST_CASE("standard descriptors that a process was started without lead nowhere") {
  CHECK(holds_in_process([] {
    ::close(STDIN_FILENO);
    ::close(STDOUT_FILENO);
    runtime::guard_process();
    const int next = ::open("/dev/null", O_RDONLY);
    struct stat status {};
    return next > STDERR_FILENO && ::fstat(STDOUT_FILENO, &status) == 0 &&
           S_ISCHR(status.st_mode) && runtime::was_closed_at_start(STDIN_FILENO) &&
           runtime::was_closed_at_start(STDOUT_FILENO) &&
           !runtime::was_closed_at_start(STDERR_FILENO) && !runtime::was_closed_at_start(7) &&
           ::write(STDOUT_FILENO, "x", 1) == 1;
  }));
}

TEST_CASE("the limit of a file's size is an error, and kills nobody") {
  CHECK(holds_in_process([] {
    runtime::guard_process();
    const int file = ::open("/tmp", O_TMPFILE | O_WRONLY, 0600);
    const rlimit limit{3, 3};
    if (file < 0) return true;  // A file system without them.
    return ::setrlimit(RLIMIT_FSIZE, &limit) == 0 && ::write(file, "four", 4) == 3 &&
           ::write(file, "five", 4) == -1 && errno == EFBIG;
  }));
}

TEST_CASE("the first reason for which a process fails is its exit code") {
  CHECK(holds_in_process([] {
    const bool had_none = !runtime::process_failure();
    runtime::fail_process(74, "standard output is closed");
    runtime::fail_process(70, "something else");
    return had_none && runtime::process_failure() == 74;
  }));
}
