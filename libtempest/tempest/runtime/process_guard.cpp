#include "tempest/runtime/process_guard.hpp"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>

#include "tempest/runtime/logging.hpp"
#include "tempest/runtime/node_program.hpp"
#include "tempest/runtime/safe_output.hpp"

namespace tempest::runtime {
namespace {

constexpr int kStandardDescriptors = 3;
std::array<bool, kStandardDescriptors> closed_at_start{};
std::atomic<int> failure{0};

}  // namespace

void guard_process() {
  for (int descriptor = 0; descriptor < kStandardDescriptors; ++descriptor) {
    if (::fcntl(descriptor, F_GETFD) >= 0 || errno != EBADF) continue;
    closed_at_start[static_cast<std::size_t>(descriptor)] = true;
    // The lowest free number is this one, since those below are open by now.
    static_cast<void>(::open("/dev/null", descriptor == STDIN_FILENO ? O_RDONLY : O_WRONLY));
  }
  struct sigaction action = {};
  action.sa_handler = SIG_IGN;
  ::sigaction(SIGXFSZ, &action, nullptr);
  make_output_safe();
}

bool was_closed_at_start(int descriptor) {
  return descriptor >= 0 && descriptor < kStandardDescriptors &&
         closed_at_start[static_cast<std::size_t>(descriptor)];
}

void fail_process(int exit_code, const std::string& reason) {
  int none = 0;
  if (!failure.compare_exchange_strong(none, exit_code)) return;
  Log("tempest").error(reason + "; ending at once, what is not done stays unacked");
  StopSignals::stop_now();
}

std::optional<int> process_failure() {
  const int code = failure.load();
  return code == 0 ? std::nullopt : std::optional<int>(code);
}

}  // namespace tempest::runtime
