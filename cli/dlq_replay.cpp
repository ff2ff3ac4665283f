#include "cli/dlq_replay.hpp"

#include <algorithm>
#include <atomic>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <thread>

#include "cli/checked_topology.hpp"
#include "cli/dead_letter_options.hpp"
#include "cli/letter_census.hpp"
#include "cli/replay_from_task.hpp"
#include "cli/replay_to_source.hpp"
#include "cli/standalone_options.hpp"
#include "tempest/runtime/clock.hpp"
#include "tempest/runtime/exit_code.hpp"
#include "tempest/runtime/node_program.hpp"

namespace tempest::cli {
namespace {

const std::string kProgram = "tempest dlq replay";

struct Wish {
  LetterFilter filter;
  std::uint64_t limit = 0;
  std::int64_t rate = 0;
  bool dry = false;
  bool json = false;
  bool force = false;
};

struct Sums {
  std::uint64_t replayed = 0;
  std::uint64_t failed_again = 0;
  std::uint64_t left = 0;  ///< Neither: they cannot be replayed so, or it was stopped.
};

int report(const Sums& sums, const Wish& wish) {
  if (wish.json) {
    const nlohmann::ordered_json json = {
        {"replayed", sums.replayed}, {"failed_again", sums.failed_again}, {"left", sums.left}};
    std::cout << json.dump() << std::endl;
  } else {
    std::cerr << kProgram << ": replayed " << letters(sums.replayed);
    if (sums.failed_again > 0) std::cerr << ", " << sums.failed_again << " failed again";
    if (sums.left > 0) std::cerr << ", " << sums.left << " left as they are";
    std::cerr << "\n";
  }
  return sums.failed_again > 0 ? runtime::kExitCheckFailed : runtime::kExitOk;
}

template <typename Visit>
Result<void> for_each_letter(LetterStore& store, const Wish& wish, Visit visit) {
  LetterReader reader(store, wish.filter, wish.limit);
  auto visited = reader.for_each(visit);
  if (visited) report_left_out(reader, kProgram);
  return visited;
}

/// Returns an exit code if nothing is to be replayed.
std::optional<int> announce(LetterStore& store, const Wish& wish) {
  if (wish.dry) return std::nullopt;
  const auto refused =
      cli::announce(store, {kProgram, "replay", wish.filter, wish.limit, wish.force});
  if (!refused) return complain(kProgram, refused.error());
  return *refused;
}

int list_only(LetterStore& store, const Wish& wish, const std::string& where) {
  LetterList list(wish.json);
  const auto listed = for_each_letter(store, wish, [&](const StoredLetter& letter) {
    list.add(letter);
    return Result<void>();
  });
  if (!listed) return complain(kProgram, listed.error());
  list.print();
  std::cerr << kProgram << ": would replay " << letters(list.count()) << " " << where << "\n";
  return runtime::kExitOk;
}

// --- From the start ----------------------------------------------------------------------------

Result<ReplayTarget> target_of(runtime::CommandLine& line,
                               const std::optional<Topology>& topology) {
  if (line.text("to-key").empty()) {
    if (topology) return replay_target_of(topology->source);
    return Error{ErrorCode::configuration,
                 "say where the messages go, with --topology, or --to-uri and --to-key"};
  }
  auto address = runtime::parse_redis_uri(line.text("to-uri"));
  if (!address) return address.error();
  return ReplayTarget{*address, line.text("to-key"), line.has_flag("to-list"),
                      line.text("to-field"), line.text("to-key-field")};
}

int replay_from_start(LetterStore& store, const ReplayTarget& target, const Wish& wish) {
  if (wish.dry) return list_only(store, wish, "to " + target.shown());
  SourceReplay replay(store, target);
  if (auto opened = replay.open(); !opened) return complain(kProgram, opened.error());
  const TimePoint begun = runtime::monotonic_now();
  std::uint64_t count = 0;
  const auto done = for_each_letter(store, wish, [&](const StoredLetter& letter) {
    if (wish.rate > 0) {
      const std::chrono::duration<double> due(static_cast<double>(count) /
                                              static_cast<double>(wish.rate));
      std::this_thread::sleep_for(due - (runtime::monotonic_now() - begun));
    }
    ++count;
    return replay.replay({&letter, 1});
  });
  if (replay.unfit() > 0) {
    std::cerr
        << kProgram << ": " << letters(replay.unfit())
        << " cannot be put back: the source could make no message of them (\"unreadable\"), or "
           "the payload is no JSON object of texts, which a source without 'field' wants (name "
           "a field with --to-key and --to-field)\n";
  }
  const int exit_code = report({replay.replayed(), 0, count - replay.replayed()}, wish);
  if (!done) return complain(kProgram, done.error());
  return replay.unfit() > 0 ? int{runtime::kExitCheckFailed} : exit_code;
}

// --- From the failed task ----------------------------------------------------------------------

struct TaskReplay {
  Topology topology;
  std::uint64_t letters = 0;
  std::uint64_t runnable = 0;
  bool keeps_key = false;
};
using TaskReplays = std::map<std::string, TaskReplay>;

/// What each failing task has, as far as it can be run again.
Result<TaskReplays> plan(LetterStore& store, const Topology& topology, const Wish& wish,
                         std::uint64_t& unknown) {
  TaskReplays tasks;
  const auto read = for_each_letter(store, wish, [&](const StoredLetter& letter) {
    TaskReplay& replay = tasks[letter.task];
    ++replay.letters;
    replay.runnable += has_failing_delivery(letter) ? 1 : 0;
    return Result<void>();
  });
  if (!read) return read.error();
  for (auto entry = tasks.begin(); entry != tasks.end();) {
    auto& [name, replay] = *entry;
    unknown += replay.letters - replay.runnable;
    if (replay.runnable == 0) {
      entry = tasks.erase(entry);
      continue;
    }
    auto derived = topology_from_task(topology, name);
    if (!derived) return derived.error();
    replay.topology = std::move(*derived);
    const auto roots = topology.graph.roots();
    replay.keeps_key =
        std::find(roots.begin(), roots.end(), topology.graph.find(name)) != roots.end();
    ++entry;
  }
  return tasks;
}

/// Which Standalone a signal stops, and that no other shall begin.
struct Stopping {
  std::vector<std::unique_ptr<Standalone>> begun;  ///< Kept, since a signal may come at any moment.
  std::atomic<Standalone*> running = nullptr;
  std::atomic<bool> asked = false;
};

void stop(void* context, bool at_once) {
  auto* stopping = static_cast<Stopping*>(context);
  stopping->asked = true;
  if (Standalone* running = stopping->running) running->request_stop(at_once);
}

/// An exit code that is not 0 is the end of all.
int run_task(LetterStore& store, const std::string& task, const TaskReplay& replay,
             StandaloneOptions options, const Wish& wish, Stopping& stopping, Sums& sums) {
  LetterSource::Options source;
  source.filter = wish.filter;
  source.filter.task = task;
  source.limit = replay.letters;
  source.rate = static_cast<double>(wish.rate);
  source.keeps_key = replay.keeps_key;
  options.make_source = [&store, source]() -> Result<std::unique_ptr<Source>> {
    return std::unique_ptr<Source>(std::make_unique<LetterSource>(store, source));
  };
  stopping.begun.push_back(std::make_unique<Standalone>(replay.topology, options));
  Standalone& standalone = *stopping.begun.back();
  if (auto started = standalone.start(); !started) return complain(kProgram, started.error());
  stopping.running = &standalone;
  if (stopping.asked) standalone.request_stop(false);
  while (!standalone.wait(std::chrono::seconds(1))) {
  }
  stopping.running = nullptr;
  const auto numbers = standalone.summary().numbers;
  sums.replayed += numbers.acked;
  sums.failed_again += numbers.failed;
  sums.left += replay.runnable - std::min(replay.runnable, numbers.acked + numbers.failed);
  return standalone.exit_code();
}

int replay_from_task(LetterStore& store, const Topology& topology, const StandaloneOptions& options,
                     const Wish& wish) {
  Sums sums;
  auto tasks = plan(store, topology, wish, sums.left);
  if (!tasks) return complain(kProgram, tasks.error());
  if (sums.left > 0) {
    std::cerr << kProgram << ": " << letters(sums.left)
              << " do not say what their failing task was given; --from start replays them\n";
  }
  for (const auto& [name, replay] : *tasks) {
    std::string beside;
    for (const std::string& other : tasks_beside(topology, name)) {
      beside += (beside.empty() ? "" : ", ") + other;
    }
    if (beside.empty()) continue;
    std::cerr << kProgram << ": from " << name
              << " on, what these had not done when a message failed is not done: " << beside
              << "\n";
  }
  if (wish.dry) return list_only(store, wish, "from the failed task on");
  const bool are_some_unfit = sums.left > 0;
  Stopping stopping;
  const runtime::StopSignals signals(stop, &stopping);
  for (const auto& [name, replay] : *tasks) {
    if (stopping.asked) {
      sums.left += replay.runnable;
    } else if (const int code = run_task(store, name, replay, options, wish, stopping, sums);
               code != 0) {
      report(sums, wish);
      return code;
    }
  }
  const int exit_code = report(sums, wish);
  return are_some_unfit ? int{runtime::kExitCheckFailed} : exit_code;
}

// --- Options -----------------------------------------------------------------------------------

void add_options(runtime::CommandLine& line) {
  add_letter_store_options(line);
  add_letter_filter_options(line, "0");
  add_letter_output_option(line);
  line.option("from", "WHERE",
              "start: put the message back into its source. failed-task: run what the failing task "
              "was given, here, in that task and those after it",
              "start")
      .option("to-uri", "URI", "With --from start: another Redis than the source's",
              "redis://127.0.0.1:6379/0")
      .option("to-key", "KEY", "Its stream, or list")
      .flag("to-list", "It is a list, of payloads alone")
      .option("to-field", "FIELD", "The field for the payload", "value")
      .option("to-key-field", "FIELD", "The field for the key (default: the key is left out)")
      .option("rate", "N", "So many a second at most; 0: as fast as it goes", "0")
      .flag("dry-run", "Only list what would be replayed")
      .flag("force", "Do not ask, where a filter lets all letters through")
      .list("library", "FILE", "With --from failed-task: a task library, besides the file's")
      .list("library-path", "FOLDER", "Where task libraries are looked for")
      .option("threads", "N", "Handler threads (default: one for each CPU that may be used)")
      .option("drain-timeout", "DURATION",
              "How long to finish what is under way after SIGTERM or SIGINT", "8s");
  runtime::add_log_options(line, "warning");
  line.example("tempest dlq replay --topology Topology.toml --dry-run", "what would be replayed")
      .example("tempest dlq replay --topology Topology.toml --kind timeout --rate 100",
               "all that took too long, a hundred a second, from the start")
      .example("tempest dlq replay --topology Topology.toml --task count --from failed-task",
               "only the task that failed, and those after it");
}

}  // namespace

int dlq_replay_command(int argc, const char* const* argv) {
  runtime::CommandLine line(kProgram,
                            "Runs the messages of dead letters again. A letter is removed once its "
                            "message is back in its source, or done.");
  add_options(line);
  if (const auto exit = line.parse(argc, argv)) return *exit;
  Wish wish;
  wish.filter = read_letter_filter(line);
  wish.limit = read_letter_limit(line);
  wish.rate = line.integer("rate", 0, 1'000'000);
  wish.dry = line.has_flag("dry-run");
  wish.json = wants_json(line);
  wish.force = line.has_flag("force");
  const std::string from = line.text("from");
  const std::string file = line.text("topology");
  StandaloneOptions options = read_standalone_options(line, file);
  options.exit_when_drained = true;
  if (from != "start" && from != "failed-task") {
    line.fail("--from is start or failed-task, not '" + from + "'");
  } else if (from == "failed-task" && file.empty()) {
    line.fail("--from failed-task needs the topology's file, with --topology");
  }
  runtime::start_log(line);
  if (line.failed()) return runtime::kExitUsage;

  int exit_code = runtime::kExitOk;
  auto opened = open_letters(line, kProgram, exit_code, line.text("to-key").empty());
  if (!opened) return exit_code;
  // A sink may have the dead letters of several topologies.
  if (opened->topology && wish.filter.topology.empty()) {
    wish.filter.topology = opened->topology->name;
  }
  if (from == "start") {
    const auto target = target_of(line, opened->topology);
    if (!target) return complain(kProgram, target.error());
    if (const auto code = announce(*opened->store, wish)) return *code;
    return replay_from_start(*opened->store, *target, wish);
  }
  const auto topology = load_checked_topology(file, options.libraries, exit_code);
  if (!topology) return exit_code;
  if (const auto code = announce(*opened->store, wish)) return *code;
  return replay_from_task(*opened->store, *topology, options, wish);
}

}  // namespace tempest::cli
