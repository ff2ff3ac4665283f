#include "bench/child.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <thread>
#include <utility>

#include "tempest/runtime/clock.hpp"

namespace tempest::bench {

namespace {

constexpr Duration kLookAgain = std::chrono::milliseconds(1);

std::uint64_t nanoseconds(const timeval& time) {
  return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000 +
         static_cast<std::uint64_t>(time.tv_usec) * 1'000;
}

std::uint64_t cpu_ns_of(pid_t pid) {
  clockid_t clock{};
  timespec time{};
  if (::clock_getcpuclockid(pid, &clock) != 0 || ::clock_gettime(clock, &time) != 0) return 0;
  return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000 +
         static_cast<std::uint64_t>(time.tv_nsec);
}

std::uint64_t resident_bytes_of(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/statm");
  std::uint64_t size = 0;
  std::uint64_t resident = 0;
  file >> size >> resident;
  return resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

std::uint64_t switches_of(pid_t pid) {
  std::uint64_t sum = 0;
  std::error_code error;
  for (const auto& thread :
       std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/task", error)) {
    std::ifstream file(thread.path() / "status");
    for (std::string word; file >> word;) {
      std::uint64_t count = 0;
      if (word == "voluntary_ctxt_switches:" && file >> count) sum += count;
    }
  }
  return sum;
}

/// In the child, between fork and exec: only what is async-signal-safe.
[[noreturn]] void become(char* const* arguments, pid_t parent, int output, int error) {
  // Nobody is left behind, even if this process is killed.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(0);
  ::setpgid(0, 0);
  ::dup2(output, STDOUT_FILENO);
  if (error >= 0) ::dup2(error, STDERR_FILENO);
  ::execv(arguments[0], arguments);
  ::_exit(127);
}

}  // namespace

Result<Child> Child::start(std::string name, std::vector<std::string> command, Streams streams) {
  std::vector<char*> arguments;
  for (std::string& word : command) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  const int output = streams.capture_output ? ::memfd_create("output", MFD_CLOEXEC)
                                            : ::open("/dev/null", O_WRONLY | O_CLOEXEC);
  const int error =
      streams.error_file.empty()
          ? -1
          : ::open(streams.error_file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid == 0) become(arguments.data(), parent, output, error);
  if (error >= 0) ::close(error);
  Child child;
  child.name_ = std::move(name);
  child.output_ = output;
  if (pid < 0) {
    return Error{ErrorCode::unavailable,
                 "cannot start " + child.name_ + ": " + std::strerror(errno)};
  }
  child.pid_ = pid;
  if (streams.count_syscalls) child.syscalls_ = std::make_unique<SyscallCounter>(pid);
  return child;
}

Child::Child(Child&& other) noexcept {
  *this = std::move(other);
}

Child& Child::operator=(Child&& other) noexcept {
  std::swap(name_, other.name_);
  std::swap(pid_, other.pid_);
  std::swap(output_, other.output_);
  std::swap(exit_code_, other.exit_code_);
  std::swap(final_, other.final_);
  std::swap(syscalls_, other.syscalls_);
  return *this;
}

Child::~Child() {
  if (pid_ > 0 && !exit_code_) {
    ::kill(pid_, SIGKILL);
    reap(0);
  }
  if (output_ >= 0) ::close(output_);
}

bool Child::reap(int options) {
  int status = 0;
  rusage used{};
  if (::wait4(pid_, &status, options, &used) != pid_) return false;
  exit_code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  final_.cpu_ns = nanoseconds(used.ru_utime) + nanoseconds(used.ru_stime);
  final_.switches = static_cast<std::uint64_t>(used.ru_nvcsw);
  return true;
}

Usage Child::usage() const {
  Usage usage = exit_code_ ? final_
                           : Usage{.cpu_ns = cpu_ns_of(pid_),
                                   .resident_bytes = resident_bytes_of(pid_),
                                   .switches = switches_of(pid_)};
  if (syscalls_ != nullptr) usage.syscalls = syscalls_->count().value_or(0);
  return usage;
}

void Child::signal(int number) const {
  if (pid_ > 0 && !exit_code_) ::kill(pid_, number);
}

std::optional<int> Child::wait(Duration patience) {
  const TimePoint deadline = runtime::monotonic_now() + patience;
  while (!exit_code_ && !reap(WNOHANG)) {
    if (runtime::monotonic_now() >= deadline) return std::nullopt;
    std::this_thread::sleep_for(kLookAgain);
  }
  return exit_code_;
}

std::string Child::output() const {
  std::string text;
  char buffer[4096];
  ::lseek(output_, 0, SEEK_SET);
  for (ssize_t size = 0; (size = ::read(output_, buffer, sizeof buffer)) > 0;) {
    text.append(buffer, static_cast<std::size_t>(size));
  }
  return text;
}

}  // namespace tempest::bench
