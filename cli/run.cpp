#include <unistd.h>

#include <array>
#include <cstdio>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>

#include "cli/checked_topology.hpp"
#include "cli/commands.hpp"
#include "cli/progress.hpp"
#include "cli/standalone_options.hpp"
#include "tempest/base/safe_text.hpp"
#include "tempest/runtime/command_line.hpp"
#include "tempest/runtime/exit_code.hpp"
#include "tempest/runtime/logging.hpp"
#include "tempest/runtime/node_program.hpp"
#include "tempest/runtime/process_guard.hpp"

namespace tempest::cli {

namespace {

constexpr Duration kProgressInterval = std::chrono::milliseconds(200);

double seconds_of(const source_node::SourceNumbers& numbers) {
  if (numbers.last_ack_at <= numbers.first_read_at) return 0;
  return std::chrono::duration<double>(numbers.last_ack_at - numbers.first_read_at).count();
}

double rate_of(const source_node::SourceNumbers& numbers) {
  const double seconds = seconds_of(numbers);
  return seconds > 0 ? static_cast<double>(numbers.acked) / seconds : 0;
}

using Counts = std::map<std::string, std::uint64_t>;

void print_json(const Topology& topology, const source_node::SourceSummary& summary,
                const Counts& handled, const Counts& untaken) {
  const auto& numbers = summary.numbers;
  nlohmann::ordered_json object;
  object["topology"] = topology.name;
  object["version"] = topology.version;
  object["read"] = numbers.read;
  object["acked"] = numbers.acked;
  object["failed"] = numbers.failed;
  object["dead_lettered"] = numbers.dead_lettered;
  object["resent"] = numbers.resent;
  object["lost_at_source"] = numbers.lost_at_source;
  object["pending"] = numbers.pending;
  object["handled"] = handled;
  object["untaken"] = untaken;
  object["seconds"] = seconds_of(numbers);
  object["messages_per_second"] = rate_of(numbers);
  std::cout << object.dump() << std::endl;
}

/// Says it to people; in a log of JSON, as one of its lines.
void say(const std::string& text) {
  if (runtime::log_format() == runtime::LogFormat::json) {
    runtime::Log("tempest").info(text);
  } else {
    std::cerr << safe_text(text) << "\n";
  }
}

void print_text(const Topology& topology, const source_node::SourceSummary& summary,
                const Counts& untaken) {
  const auto& numbers = summary.numbers;
  std::string text = topology.name + ": read " + grouped(numbers.read) + ", acked " +
                     grouped(numbers.acked) + ", failed " + grouped(numbers.failed);
  if (numbers.dead_lettered > 0) text += ", dead letters " + grouped(numbers.dead_lettered);
  if (numbers.lost_at_source > 0) {
    text += ", lost at the source " + grouped(numbers.lost_at_source);
  }
  if (numbers.pending > 0) text += ", left pending " + grouped(numbers.pending);
  std::array<char, 32> seconds{};
  std::snprintf(seconds.data(), seconds.size(), "%.2f", seconds_of(numbers));
  say(text + " in " + seconds.data() + " s (" +
      grouped(static_cast<std::uint64_t>(rate_of(numbers))) + " messages/s)");
  for (const auto& [output, count] : untaken) {
    say(topology.name + ": " + grouped(count) + " outputs of " + output +
        " went nowhere: no edge takes them");
  }
}

int run(Topology topology, const StandaloneOptions& options, bool json, bool quiet) {
  Standalone standalone(topology, options);
  if (auto started = standalone.start(); !started) {
    std::cerr << "tempest run: " << safe_text(started.error().message) << "\n";
    return runtime::kExitUnavailable;
  }
  const runtime::StopSignals signals(
      [](void* context, bool at_once) { static_cast<Standalone*>(context)->request_stop(at_once); },
      &standalone);
  ProgressLine progress(!quiet && ::isatty(STDERR_FILENO) != 0);
  while (!standalone.wait(kProgressInterval)) {
    // It may have failed before there was anybody to tell.
    if (runtime::process_failure()) standalone.request_stop(true);
    progress.show(standalone.summary());
  }
  progress.clear();

  const auto summary = standalone.summary();
  if (json) {
    print_json(topology, summary, standalone.handled(), standalone.untaken());
  } else if (!quiet) {
    print_text(topology, summary, standalone.untaken());
  }
  return runtime::process_failure().value_or(standalone.exit_code());
}

}  // namespace

int run_command(int argc, const char* const* argv) {
  runtime::CommandLine line("tempest run",
                            "Runs a whole topology in this process, and ends with 0 once a finite "
                            "source is drained and acked.");
  line.positional("FILE", "The topology's file");
  line.option("workers", "N", "How many workers", "1");
  line.option("threads", "N",
              "Handler threads of each worker (default: one for each CPU that may be used)");
  line.option("bind", "URL",
              "Where this run can be looked at, with tempest ls, trace and tap (such as "
              "tcp://127.0.0.1:5550; default: nowhere)");
  line.flag("exit-when-drained", "End also when an endless source has nothing more to give");
  line.option("consumer", "NAME",
              "The name under which a stream is read: the same at each start, and no other "
              "process's (default: this machine's name; a second run of the topology has HOST-2)");
  line.option("record", "FILE", "Keep a record of the flow in FILE, for measurements");
  line.list("library", "FILE", "A task library, besides those that the file names");
  line.list("library-path", "FOLDER", "Where task libraries are looked for");
  line.option("drain-timeout", "DURATION",
              "How long to finish what is under way after SIGTERM or SIGINT", "8s");
  line.flag("json", "Print the summary as one JSON object on standard output");
  line.flag("quiet", "No progress and no summary");
  runtime::add_log_options(line, "warning");
  line.example("tempest run Topology.toml", "until its source ends, or Ctrl-C");
  line.example("tempest run stream.toml --exit-when-drained --json",
               "empties a Redis stream, and says in JSON what it did");
  if (const auto exit = line.parse(argc, argv)) return *exit;

  const std::string file = line.text("FILE");
  StandaloneOptions options = read_standalone_options(line, file);
  options.workers = static_cast<std::size_t>(line.integer("workers", 1, 64));
  if (!line.text("consumer").empty()) options.consumer = line.text("consumer");
  options.record = line.text("record");
  options.bind = line.text("bind");
  runtime::start_log(line);
  if (line.failed()) return runtime::kExitUsage;

  int exit_code = runtime::kExitOk;
  auto topology = load_checked_topology(file, options.libraries, exit_code);
  if (!topology) return exit_code;
  options.exit_when_drained = line.has_flag("exit-when-drained");
  return run(std::move(*topology), options, line.has_flag("json"), line.has_flag("quiet"));
}

}  // namespace tempest::cli
