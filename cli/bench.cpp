#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>

#include "bench/ceiling.hpp"
#include "bench/flow.hpp"
#include "bench/nodes.hpp"
#include "bench/report.hpp"
#include "bench/scratch_run.hpp"
#include "bench/standing.hpp"
#include "bench/stream.hpp"
#include "bench/workload.hpp"
#include "cli/commands.hpp"
#include "cli/text_table.hpp"
#include "tempest/base/limits.hpp"
#include "tempest/base/quantity.hpp"
#include "tempest/base/safe_text.hpp"
#include "tempest/base/spelling.hpp"
#include "tempest/runtime/command_line.hpp"
#include "tempest/runtime/exit_code.hpp"
#include "tempest/runtime/node_program.hpp"

namespace tempest::cli {

namespace {

constexpr std::uint64_t kLatencyRate = 10'000;
// A stream is filled before it is read.
constexpr std::uint64_t kStreamCount = 500'000;
constexpr Duration kOpenLoopWarmUp = std::chrono::seconds(2);
constexpr std::uint64_t kManyInFlight = 1'000'000;

void list_workloads() {
  TextTable table({"WORKLOAD", "WHAT IT IS"});
  for (const auto& workload : bench::workloads()) table.add({workload.name, workload.summary});
  table.print(std::cout);
}

/// Where the tasks that are no built-ins stand: in the build's folder, or installed.
std::string task_library() {
  const std::filesystem::path programs = runtime::program_folder();
  for (const char* folder : {".", "../lib", "../lib/tempest", "../lib/x86_64-linux-gnu/tempest",
                             "../lib/aarch64-linux-gnu/tempest", "../lib64/tempest"}) {
    const auto file = programs / folder / "libbench_tasks.so";
    if (std::filesystem::exists(file)) return std::filesystem::weakly_canonical(file).string();
  }
  return "libbench_tasks.so";
}

/// An installed Tempest has no program that measures the bare transport.
bool takes_ceilings(const runtime::CommandLine& line) {
  if (line.has_flag("no-ceiling")) return false;
  if (std::filesystem::exists(runtime::program_folder() + "/tempest-ceiling")) return true;
  std::cerr
      << "tempest bench: without ceilings: tempest-ceiling, which measures them, is only in a "
         "build's folder\n";
  return false;
}

void read_workload(runtime::CommandLine& line, bench::Settings& settings) {
  settings.workload = line.text("WORKLOAD");
  std::vector<std::string> names;
  for (const auto& workload : bench::workloads()) names.push_back(workload.name);
  if (std::find(names.begin(), names.end(), settings.workload) != names.end()) return;
  const auto nearest = nearest_name(settings.workload, names);
  line.fail("there is no workload '" + settings.workload + "'" +
            (nearest ? "; did you mean '" + *nearest + "'?" : "; see tempest bench --list"));
}

void read_transport(runtime::CommandLine& line, bench::Settings& settings) {
  const std::string transport = line.text("transport");
  if (transport == "tcp") {
    settings.transport = bench::Transport::tcp;
  } else if (transport == "ipc") {
    settings.transport = bench::Transport::ipc;
  } else if (transport == "process") {
    settings.transport = bench::Transport::process;
  } else {
    line.fail("--transport is tcp, ipc or process, not '" + transport + "'");
  }
}

bench::Settings read_settings(runtime::CommandLine& line) {
  bench::Settings settings;
  read_workload(line, settings);
  read_transport(line, settings);
  const auto size = parse_size_bytes(line.text("size"));
  if (!size || *size < 1 || *size > kMaxPayloadBytes) {
    line.fail("--size takes 1 to 16MiB, not '" + line.text("size") + "'");
  } else {
    settings.size_bytes = *size;
  }
  settings.count = static_cast<std::uint64_t>(line.integer("count", 0, 1'000'000'000));
  settings.time = line.duration("time");
  settings.warm_up = line.duration("warm-up");
  settings.depth = static_cast<std::size_t>(line.integer("depth", 1, 64));
  settings.fan_out = static_cast<std::size_t>(line.integer("fan-out", 1, 1024));
  settings.workers = static_cast<std::size_t>(line.integer("workers", 1, 256));
  settings.threads = static_cast<std::size_t>(line.integer("threads", 1, 64));
  settings.rate = static_cast<std::uint64_t>(line.integer("rate", 0, 1'000'000'000));
  settings.in_flight = static_cast<std::uint64_t>(line.integer("in-flight", 0, 10'000'000));
  settings.separate = line.has_flag("separate");
  settings.count_syscalls = line.has_flag("syscalls");
  if (settings.count_syscalls && !bench::SyscallCounter::is_possible()) {
    line.fail(
        "system calls cannot be counted here: be root, and mount -t tracefs nodev "
        "/sys/kernel/tracing");
  }
  settings.library = task_library();
  settings.redis = line.text("redis");
  if (settings.workload == "redis" && settings.count == 0) settings.count = kStreamCount;
  settings.sources = static_cast<std::size_t>(line.integer("sources", 1, 64));
  if (settings.workload == "memory" && settings.in_flight == 0) settings.in_flight = kManyInFlight;
  const bool is_standing = settings.workload == "memory" || settings.workload == "idle";
  if (is_standing && settings.transport == bench::Transport::process) {
    line.fail(settings.workload + " looks at the nodes one by one: --transport tcp or ipc");
  }
  // What was due while the nodes found each other has to be made up for first.
  if (settings.rate > 0 && !line.given("warm-up")) settings.warm_up = kOpenLoopWarmUp;
  if (settings.workload == "latency") {
    if (settings.rate == 0 && !line.given("warm-up")) settings.warm_up = kOpenLoopWarmUp;
    if (!line.given("depth")) settings.depth = 2;
    if (settings.rate == 0) settings.rate = kLatencyRate;
    settings.separate = settings.transport != bench::Transport::process && !line.has_flag("fused");
  }
  return settings;
}

int fail(const Error& error) {
  std::cerr << "tempest bench: " << safe_text(error.message) << "\n";
  return error.code == ErrorCode::fail ? runtime::kExitCheckFailed : runtime::kExitUnavailable;
}

/// A run, its ceiling, a run, its ceiling: what the machine does meanwhile falls on both.
Result<std::vector<bench::Figure>> measure_flow(const bench::Settings& settings,
                                                std::size_t repeats, bool with_ceiling) {
  bench::Repeats all;
  for (std::size_t i = 0; i < repeats; ++i) {
    auto measured = bench::measure(settings);
    if (!measured) return measured.error();
    if (with_ceiling && !bench::ceiling_of(settings).empty()) {
      auto ceiling =
          bench::measure_ceiling(settings, measured->messages_per_source_frame.value_or(0));
      if (!ceiling) return ceiling.error();
      all.ceilings.push_back(std::move(*ceiling));
    }
    all.runs.push_back(std::move(*measured));
  }
  return bench::figures_of(settings, all);
}

Result<std::vector<bench::Figure>> measure_standing(const bench::Settings& settings,
                                                    std::size_t repeats) {
  std::vector<bench::NamedValues> all;
  for (std::size_t i = 0; i < repeats; ++i) {
    auto measured = settings.workload == "idle" ? bench::measure_idle(settings)
                                                : bench::measure_memory(settings);
    if (!measured) return measured.error();
    all.push_back(std::move(*measured));
  }
  return bench::figures_of(all);
}

int measure_and_print(runtime::CommandLine& line, bench::Settings& settings, std::size_t repeats) {
  std::unique_ptr<bench::RedisServer> redis;
  const bool is_idle = settings.workload == "idle";
  const bool is_standing = is_idle || settings.workload == "memory";
  if ((settings.workload == "redis" || is_idle) && settings.redis.empty()) {
    auto started = bench::RedisServer::start(line.has_flag("durable"));
    if (!started) return fail(started.error());
    redis = std::move(*started);
    settings.redis = redis->uri();
  }
  auto figures = is_standing ? measure_standing(settings, repeats)
                             : measure_flow(settings, repeats, takes_ceilings(line));
  if (!figures) return fail(figures.error());
  const auto print = line.has_flag("json") ? bench::print_json : bench::print_table;
  print(settings, *figures, std::cout);
  if (const std::string file = line.text("save"); !file.empty()) {
    std::ofstream out(file);
    bench::print_json(settings, *figures, out);
    if (!out) {
      std::cerr << "tempest bench: cannot write " << safe_text(file) << "\n";
      return runtime::kExitInputOutput;
    }
  }
  return runtime::kExitOk;
}

}  // namespace

int bench_command(int argc, const char* const* argv) {
  runtime::CommandLine line("tempest bench",
                            "Measures a workload in processes of its own, checks that everything "
                            "sent was handled and acked, and puts beside it what the bare "
                            "transport does. docs/performance.md says how to read it.");
  line.positional("WORKLOAD", "What is run; see --list", false);
  line.flag("list", "List the workloads");
  line.option("transport", "NAME", "tcp, ipc, or process: all nodes in one", "tcp");
  line.option("size", "SIZE", "Of each payload", "100");
  line.option("time", "DURATION", "How long each repeat is measured", "3s");
  line.option("warm-up", "DURATION",
              "From the first ack to the first measurement; with --rate 2s by default", "500ms");
  line.option("count", "N", "Measure so many messages from first to last, rather than a time", "0");
  line.option("depth", "N", "Tasks in a row", "1");
  line.option("fan-out", "N", "Messages that fan makes of each", "1");
  line.option("workers", "N", "Worker processes", "1");
  line.option("threads", "N", "Handler threads of each", "1");
  line.flag("separate", "Each task in a worker of its own");
  line.flag("fused", "latency: both tasks in one worker");
  line.option("rate", "N", "Messages per second; 0: as many as are taken", "0");
  line.option("in-flight", "N", "The most messages read and not acked; 0: the default", "0");
  line.option(
      "redis", "URI",
      "redis: a server whose stream tempest-bench may be emptied; by default one is started");
  line.option("sources", "N", "memory: how many sources, each with so many in flight", "1");
  line.flag("durable", "redis: the server that is started syncs its file once a second");
  line.option("repeats", "N", "How often", "5");
  line.flag("syscalls", "Count system calls too; needs root and a mounted tracefs, and costs time");
  line.flag("no-ceiling", "Without what the bare transport does");
  line.flag("json", "One JSON object on standard output");
  line.option("save", "FILE", "Write the JSON object to FILE as well");
  line.example("tempest bench relay", "what a message costs, over loopback TCP");
  line.example("tempest bench latency --transport ipc --rate 50000", "how long it takes at a rate");
  if (const auto exit = line.parse(argc, argv)) return *exit;
  if (line.has_flag("list")) {
    list_workloads();
    return runtime::kExitOk;
  }
  bench::Settings settings = read_settings(line);
  const auto repeats = static_cast<std::size_t>(line.integer("repeats", 1, 1000));
  if (line.failed()) return runtime::kExitUsage;
  return bench::run_apart([&] { return measure_and_print(line, settings, repeats); });
}
}  // namespace tempest::cli
