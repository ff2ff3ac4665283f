#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <iostream>
#include <string>
#include <thread>
#include <vector>

#include "cli/checked_topology.hpp"
#include "cli/commands.hpp"
#include "cli/port_choice.hpp"
#include "cli/supervisor.hpp"
#include "source_node/flow_record.hpp"
#include "tempest/base/quantity.hpp"
#include "tempest/base/safe_text.hpp"
#include "tempest/runtime/clock.hpp"
#include "tempest/runtime/command_line.hpp"
#include "tempest/runtime/exit_code.hpp"
#include "tempest/runtime/logging.hpp"
#include "tempest/runtime/node_program.hpp"
#include "tempest/runtime/transport.hpp"

namespace tempest::cli {

namespace {

constexpr Duration kLongestWait = std::chrono::seconds(1);
// Beyond a node's own drain timeout, before it is killed.
constexpr Duration kStopGrace = std::chrono::seconds(2);

struct Process {
  std::string name;
  std::vector<std::string> command;
  pid_t pid = -1;
  std::string record = {};  ///< Of a source: where its FlowRecord is.
};

/// Runs a Supervisor's children. One thread, no sockets: it may fork.
class ProcessRunner {
 public:
  ProcessRunner(std::vector<Process> processes, const Supervisor::Settings& settings)
      : processes_(std::move(processes)),
        supervisor_(children_of(processes_), settings),
        log_("tempest-up") {
    // Taken by sigtimedwait() below; the children get the mask back as it was.
    sigemptyset(&signals_);
    for (const int number : {SIGCHLD, SIGTERM, SIGINT}) sigaddset(&signals_, number);
    struct sigaction hangup = {};
    ::sigaction(SIGHUP, nullptr, &hangup);
    if (hangup.sa_handler != SIG_IGN) sigaddset(&signals_, SIGHUP);  // Else nohup's.
    sigprocmask(SIG_BLOCK, &signals_, &mask_before_);
    // Whoever reads the log may go: that is no reason to leave the children to themselves.
    struct sigaction ignored = {};
    ignored.sa_handler = SIG_IGN;
    ::sigaction(SIGPIPE, &ignored, &pipe_before_);
  }

  int run() {
    supervisor_.start(runtime::monotonic_now(), actions_);
    carry_out();
    while (!supervisor_.finished()) {
      wait();
      supervisor_.turn(runtime::monotonic_now(), actions_);
      carry_out();
    }
    return supervisor_.exit_code();
  }

 private:
  static std::vector<Supervisor::Child> children_of(const std::vector<Process>& processes) {
    std::vector<Supervisor::Child> children;
    for (const Process& process : processes) {
      children.push_back({process.name, process.name == "source"});
    }
    return children;
  }

  void wait() {
    const TimePoint now = runtime::monotonic_now();
    const TimePoint until = std::min(supervisor_.next_turn(), now + kLongestWait);
    const auto left = std::max(until - now, Duration::zero());
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(left);
    const timespec timeout{seconds.count(), (left - seconds).count()};
    const int taken = ::sigtimedwait(&signals_, nullptr, &timeout);
    if (taken == SIGTERM || taken == SIGINT || taken == SIGHUP) {
      log_.info(stops_ == 0 ? "stopping: the source drains" : "stopping at once");
      supervisor_.stop(stops_++ > 0, runtime::monotonic_now(), actions_);
    }
    reap();
  }

  void reap() {
    int status = 0;
    for (pid_t pid = 0; (pid = ::waitpid(-1, &status, WNOHANG)) > 0;) {
      for (std::size_t i = 0; i < processes_.size(); ++i) {
        if (processes_[i].pid != pid) continue;
        processes_[i].pid = -1;
        const int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        if (code != 0) log_.warning(processes_[i].name + " has ended with " + std::to_string(code));
        const bool has_lost_work = code != 0 && !processes_[i].record.empty() && tell_loss(i);
        supervisor_.exited(i, code, runtime::monotonic_now(), actions_, has_lost_work);
      }
    }
  }

  /// True if the process has read what nothing gives again: says how much of it was not done.
  bool tell_loss(std::size_t index) {
    const Process& process = processes_[index];
    const auto record = source_node::FlowRecordFile::open(process.record);
    if (!record || (*record)->gives_again) return false;
    const std::uint64_t acked = (*record)->acked;
    const std::uint64_t read = std::max((*record)->read.load(), acked);
    log_.error(process.name + " is lost, with " + std::to_string(read - acked) + " of the " +
               std::to_string(read) +
               " messages that it had read, and with what it was about to read: its source cannot "
               "give them again, so the run ends here; use a source that keeps what is not acked "
               "for what must not be lost");
    return true;
  }

  void carry_out() {
    // An action may lead to another: a program that cannot be started has ended.
    for (std::size_t i = 0; i < actions_.size(); ++i) {
      const Supervisor::Action action = actions_[i];
      Process& process = processes_[action.child];
      switch (action.kind) {
        case Supervisor::ActionKind::start:
          start(action.child);
          break;
        case Supervisor::ActionKind::terminate:
          if (process.pid > 0) ::kill(process.pid, SIGTERM);
          break;
        case Supervisor::ActionKind::kill:
          if (process.pid > 0) ::kill(process.pid, SIGKILL);
          break;
      }
    }
    actions_.clear();
  }

  void start(std::size_t index) {
    Process& process = processes_[index];
    std::vector<char*> arguments;
    for (std::string& word : process.command) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    const pid_t parent = ::getpid();
    process.pid = ::fork();
    if (process.pid == 0) {
      // Nobody is left behind, even if this process is killed.
      ::prctl(PR_SET_PDEATHSIG, SIGTERM);
      if (::getppid() != parent) ::_exit(0);
      // In the group of this process, so that the terminal is theirs to read and to write. What it
      // sends to all of the group (Ctrl-C, a hangup) is for this process alone to pass on, in
      // order.
      sigset_t mask = mask_before_;
      for (const int number : {SIGINT, SIGHUP}) sigaddset(&mask, number);
      ::sigprocmask(SIG_SETMASK, &mask, nullptr);
      ::sigaction(SIGPIPE, &pipe_before_, nullptr);
      ::execv(arguments[0], arguments.data());
      ::_exit(runtime::kExitConfiguration);
    }
    if (process.pid < 0) {
      log_.error("cannot start " + process.name + ": " + std::strerror(errno));
      supervisor_.exited(index, runtime::kExitUnavailable, runtime::monotonic_now(), actions_);
      return;
    }
    log_.info("started " + process.name + ", process " + std::to_string(process.pid));
  }

  std::vector<Process> processes_;
  Supervisor supervisor_;
  std::vector<Supervisor::Action> actions_;
  runtime::Log log_;
  sigset_t signals_{};
  sigset_t mask_before_{};
  struct sigaction pipe_before_ = {};
  int stops_ = 0;
};

struct UpOptions {
  std::string file;
  std::string broker;
  std::string http;
  std::size_t workers = 1;
  std::vector<std::string> common;     ///< For every node.
  std::vector<std::string> libraries;  ///< For those that load some: workers and the source.
  std::string threads;
  bool exit_when_drained = false;
};

std::vector<Process> processes_of(const UpOptions& options, const Topology& topology) {
  const std::string folder = runtime::program_folder();
  std::vector<Process> processes;
  const auto add = [&](const std::string& name, const std::string& program,
                       const std::vector<std::string>& arguments, bool needs_broker = true) {
    Process process{name, {folder + "/" + program, "--name", name}, -1};
    if (needs_broker) {
      process.command.insert(process.command.end(), {"--broker", options.broker});
    }
    process.command.insert(process.command.end(), arguments.begin(), arguments.end());
    process.command.insert(process.command.end(), options.common.begin(), options.common.end());
    processes.push_back(std::move(process));
  };
  add("broker", "tempest-broker", {"--bind", options.broker}, false);
  add("stats", "tempest-stats", {"--http", options.http});
  add("pipeline", "tempest-pipeline",
      {"--topology", options.file, "--bind", "tcp://127.0.0.1:0", "--min-workers",
       std::to_string(options.workers)});
  for (std::size_t i = 1; i <= options.workers; ++i) {
    std::vector<std::string> arguments = {"--topology", topology.name, "--threads",
                                          options.threads};
    arguments.insert(arguments.end(), options.libraries.begin(), options.libraries.end());
    add("task-" + std::to_string(i), "tempest-task", arguments);
  }
  std::vector<std::string> source = {"--topology", topology.name, "--exit-when-ended"};
  source.insert(source.end(), options.libraries.begin(), options.libraries.end());
  if (options.exit_when_drained) source.emplace_back("--exit-when-drained");
  // Inherited by the children, and gone with the last of them.
  const int record = ::memfd_create("flow record", 0);
  const std::string path = "/proc/self/fd/" + std::to_string(record);
  if (record >= 0) source.insert(source.end(), {"--record", path});
  add("source", "tempest-source", source);
  if (record >= 0) processes.back().record = path;
  return processes;
}

/// Takes ports that are free. False: the user named one that is not, which has been said.
bool choose_addresses(const runtime::CommandLine& line, UpOptions& options) {
  // The broker's statistics use the two ports after its own.
  const std::vector<std::pair<WantedPorts, std::string*>> wanted = {
      {{options.broker, 3, 10, line.given("broker"), "--broker"}, &options.broker},
      {{options.http, 1, 1, line.given("http"), "--http"}, &options.http}};
  for (const auto& [ports, chosen] : wanted) {
    const auto address = choose_ports(ports);
    if (!address) {
      std::cerr << "tempest up: " << safe_text(address.error().message) << "\n";
      return false;
    }
    if (*address == *chosen) continue;
    runtime::Log("tempest-up")
        .write({link::Notice::Level::warning,
                "the port of " + ports.option +
                    " is taken, perhaps by another tempest up; this one has "
                    "another",
                {{"taken", *chosen}, {"address", *address}}});
    *chosen = *address;
  }
  return true;
}

}  // namespace

int up_command(int argc, const char* const* argv) {
  runtime::CommandLine line("tempest up",
                            "Runs a whole topology on this machine, each node a process that is "
                            "started again if it dies. Ends when the source does.");
  line.positional("FILE", "The topology's file");
  line.option("workers", "N", "How many workers", "2");
  line.option("threads", "N", "Handler threads of each worker", "1");
  line.option("broker", "URL",
              "Where the broker listens; by default the first of these that is free",
              "tcp://127.0.0.1:5550");
  line.option("http", "ADDRESS",
              "Where statistics are served; by default the first of these that is free",
              "127.0.0.1:9100");
  line.flag("exit-when-drained", "End also when an endless source has nothing more to give");
  line.list("library", "FILE", "A task library, besides those that the file names");
  line.list("library-path", "FOLDER", "Where task libraries are looked for");
  line.option("drain-timeout", "DURATION",
              "How long to finish what is under way after SIGTERM or SIGINT", "8s");
  runtime::add_log_options(line);
  line.example("tempest up Topology.toml --workers 4", "then, elsewhere: tempest ls");
  if (const auto exit = line.parse(argc, argv)) return *exit;

  UpOptions options;
  options.file = line.text("FILE");
  options.workers = static_cast<std::size_t>(line.integer("workers", 1, 256));
  const auto threads = line.integer("threads", 1, 1024);
  options.broker = line.text("broker");
  options.http = line.text("http");
  Supervisor::Settings settings;
  settings.stop_timeout = line.duration("drain-timeout") + kStopGrace;
  if (runtime::stats_in_endpoint(options.broker).empty()) {
    line.fail("--broker takes an address such as tcp://127.0.0.1:5550, not '" + options.broker +
              "'");
  }
  runtime::start_log(line);
  if (line.failed()) return runtime::kExitUsage;
  for (const char* name : {"log-level", "log-format", "drain-timeout"}) {
    options.common.push_back(std::string("--") + name);
    options.common.push_back(line.text(name));
  }
  options.threads = std::to_string(threads);
  for (const std::string& library : line.texts("library")) {
    options.libraries.insert(options.libraries.end(), {"--library", library});
  }
  std::vector<std::string> search_path = {
      std::filesystem::absolute(options.file).parent_path().string()};
  for (const std::string& entry : line.texts("library-path")) search_path.push_back(entry);
  for (const std::string& entry : search_path) {
    options.libraries.insert(options.libraries.end(), {"--library-path", entry});
  }

  int exit_code = runtime::kExitOk;
  const auto topology =
      load_checked_topology(options.file, {line.texts("library"), search_path}, exit_code);
  if (!topology) return exit_code;
  options.exit_when_drained = line.has_flag("exit-when-drained");
  if (!choose_addresses(line, options)) return runtime::kExitUnavailable;
  return ProcessRunner(processes_of(options, *topology), settings).run();
}

}  // namespace tempest::cli
