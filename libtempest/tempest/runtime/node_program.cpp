#include "tempest/runtime/node_program.hpp"

#include <malloc.h>
#include <signal.h>
#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <filesystem>

#include "tempest/base/limits.hpp"
#include "tempest/base/utf8.hpp"
#include "tempest/runtime/logging.hpp"
#include "tempest/runtime/process_guard.hpp"

namespace tempest::runtime {

namespace {

std::uint64_t random_bits() {
  std::uint64_t bits = 0;
  // Never short for so few bytes; interrupted only before the kernel's pool is ready.
  while (::getrandom(&bits, sizeof bits, 0) != sizeof bits) {
    if (errno != EINTR) std::abort();
  }
  return bits;
}

struct SignalTarget {
  StopSignals::Stop stop = nullptr;
  void* context = nullptr;
};

std::atomic<SignalTarget*> signal_target{nullptr};
std::atomic<int> signals_taken{0};
SignalTarget the_target;

void take_signal(int) {
  const int saved = errno;
  SignalTarget* target = signal_target.load();
  if (target != nullptr) target->stop(target->context, signals_taken.fetch_add(1) > 0);
  errno = saved;
}

void set_handler(int signal_number, void (*handler)(int)) {
  struct sigaction action = {};
  action.sa_handler = handler;
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART;
  ::sigaction(signal_number, &action, nullptr);
}

}  // namespace

void add_log_options(CommandLine& line, const char* default_level) {
  line.option("log-level", "LEVEL", "debug, info, warning, error or off", default_level);
  line.option("log-format", "FORMAT", "text or json", "text");
}

void start_log(CommandLine& line) {
  if (auto started = start_logging(line.text("log-level"), line.text("log-format")); !started) {
    line.fail(started.error().message);
  }
}

void add_node_options(Role role, CommandLine& line) {
  if (role != Role::broker) {
    line.list("broker", "URL", "A broker's address", "tcp://127.0.0.1:5550");
  }
  line.option(
      "name", "NAME",
      std::string("The node's name; by default ") + to_string(role) + "@<host>:<process id>");
  line.option("lease", "DURATION", "How long this node may be silent before others give it up",
              "3s");
  line.option("drain-timeout", "DURATION",
              "How long to finish what is under way after SIGTERM or SIGINT", "8s");
  if (role == Role::pipeline || role == Role::task) {
    line.option("stall-after", "DURATION",
                "Work and no progress for this long is reported as a stall", "10s");
  }
  add_log_options(line);
}

NodeOptions read_node_options(Role role, CommandLine& line) {
  NodeOptions options;
  start_log(line);
  options.name = line.text("name");
  if (options.name.empty()) {
    options.name =
        std::string(to_string(role)) + "@" + host_name() + ":" + std::to_string(::getpid());
  }
  if (!is_name(options.name) || options.name.find('#') != std::string::npos) {
    line.fail("--name takes up to " + std::to_string(kMaxNameBytes) +
              " bytes of UTF-8 without control characters and '#'");
  }
  if (role != Role::broker) {
    options.brokers = line.texts("broker");
    for (const std::string& broker : options.brokers) {
      if (stats_in_endpoint(broker).empty()) {
        line.fail("--broker takes an address such as tcp://127.0.0.1:5550, not '" + broker + "'");
      }
    }
  }
  options.drain_timeout = line.duration("drain-timeout");
  options.link.lease = line.duration("lease");
  if (!line.failed() && (options.link.lease < std::chrono::milliseconds(kMinLeaseMs) ||
                         options.link.lease > std::chrono::milliseconds(kMaxLeaseMs))) {
    line.fail("--lease takes 100ms to 60s");
  }
  options.link.heartbeat_interval = options.link.lease / 3;
  if (role == Role::pipeline || role == Role::task) {
    options.stall_after = line.duration("stall-after");
  }
  return options;
}

link::Identity make_identity(Role role, std::string name, std::string topology) {
  return {role, std::move(name), Incarnation{random_bits(), random_bits()}, std::move(topology)};
}

std::uint64_t random_seed() {
  return random_bits();
}

std::string host_name() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0 || name[0] == '\0') return "localhost";
  return name.data();
}

std::string program_folder() {
  std::error_code error;
  const auto path = std::filesystem::read_symlink("/proc/self/exe", error);
  return error ? "." : path.parent_path().string();
}

NodeLoopOptions loop_options(const NodeOptions& options, const link::Identity& identity,
                             const std::string& bind) {
  NodeLoopOptions loop;
  loop.node_name = options.name;
  // ZeroMQ's own bound is 255 bytes; the incarnation alone makes it unlike any other.
  loop.routing_id = options.name.substr(0, 200) + "#" + to_string(identity.incarnation);
  loop.bind = bind;
  for (const std::string& broker : options.brokers) {
    loop.stats_endpoints.push_back(stats_in_endpoint(broker));
  }
  return loop;
}

void keep_memory_of_frames() {
  constexpr int kLargestKept_bytes = 4 << 20;
  constexpr int kMostKept_bytes = 64 << 20;
  ::mallopt(M_MMAP_THRESHOLD, kLargestKept_bytes);
  ::mallopt(M_TRIM_THRESHOLD, kMostKept_bytes);
}

int run_loop(NodeLoop& loop, Node& node) {
  const StopSignals signals(
      [](void* context, bool at_once) { static_cast<NodeLoop*>(context)->request_stop(at_once); },
      &loop);
  const int exit_code = loop.run(node);
  return process_failure().value_or(exit_code);
}

StopSignals::StopSignals(Stop stop, void* context) {
  the_target = {stop, context};
  signals_taken = 0;
  signal_target = &the_target;
  set_handler(SIGTERM, take_signal);
  set_handler(SIGINT, take_signal);
  // A reset connection to Redis, or a closed pipe on stdout, is an error to be read, not an end.
  set_handler(SIGPIPE, SIG_IGN);
}

void StopSignals::stop_now() {
  SignalTarget* target = signal_target.load();
  if (target != nullptr) target->stop(target->context, true);
}

StopSignals::~StopSignals() {
  set_handler(SIGTERM, SIG_DFL);
  set_handler(SIGINT, SIG_DFL);
  signal_target = nullptr;
}

}  // namespace tempest::runtime
