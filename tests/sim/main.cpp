// The simulator as a program; scripts/sim builds and calls it.

#include <unistd.h>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "runs.hpp"

using namespace tempest;

namespace {

constexpr const char* kUsage =
    "Usage: scripts/sim [--seeds N] [--first K] [--jobs J] [--stop-at-first] [--quiet]\n"
    "       scripts/sim --seed N [--trace]\n"
    "\n"
    "Runs whole deployments in simulated time, one for each seed, with faults, and checks what\n"
    "Tempest promises. Exit code 1 if a promise was broken; each such seed is a line with the\n"
    "command that replays it.\n"
    "\n"
    "  --seeds N        how many (200)\n"
    "  --first K        from this one on (1)\n"
    "  --jobs J         threads (one for each core)\n"
    "  --stop-at-first  end with the first that breaks a promise\n"
    "  --quiet          no progress\n"
    "  --seed N         just this one\n"
    "  --trace          ... and all that happens in it, on standard output\n";

struct Options {
  std::uint64_t first = 1;
  std::uint64_t seeds = 200;
  unsigned jobs = std::max(1U, std::thread::hardware_concurrency());
  bool trace = false;
  bool stop_at_first = false;
  bool quiet = false;
};

thread_local std::uint64_t seed_of_thread = 0;

/// An assertion in a machine: say which seed it was.
void report_abort(int /*signal*/) {
  char text[200];
  const int size = std::snprintf(text, sizeof text,
                                 "seed %llu: aborted; replay: scripts/sim --seed %llu --trace\n",
                                 static_cast<unsigned long long>(seed_of_thread),
                                 static_cast<unsigned long long>(seed_of_thread));
  if (size > 0) {
    [[maybe_unused]] const auto written = ::write(STDOUT_FILENO, text, static_cast<size_t>(size));
  }
  ::_exit(1);
}

[[noreturn]] void fail_usage(const std::string& what) {
  std::cerr << "sim: " << what << "\n" << kUsage;
  std::exit(64);
}

Options parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    const auto number = [&]() -> std::uint64_t {
      if (++i >= argc) fail_usage(name + " needs a number");
      char* end = nullptr;
      const auto value = std::strtoull(argv[i], &end, 10);
      if (*end != '\0' || end == argv[i]) fail_usage(name + " needs a number");
      return value;
    };
    if (name == "--help" || name == "-h") {
      std::cout << kUsage;
      std::exit(0);
    } else if (name == "--seeds") {
      options.seeds = number();
    } else if (name == "--first") {
      options.first = number();
    } else if (name == "--seed") {
      options.first = number();
      options.seeds = 1;
    } else if (name == "--jobs") {
      options.jobs = std::max(1U, static_cast<unsigned>(number()));
    } else if (name == "--trace") {
      options.trace = true;
    } else if (name == "--stop-at-first") {
      options.stop_at_first = true;
    } else if (name == "--quiet") {
      options.quiet = true;
    } else {
      fail_usage("unknown option " + name);
    }
  }
  return options;
}

class Run {
 public:
  explicit Run(const Options& options) : options_(options) {}

  int operator()() {
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < options_.jobs; ++i) threads.emplace_back([this] { work(); });
    for (std::thread& thread : threads) thread.join();
    summarise();
    return failures_ == 0 ? 0 : 1;
  }

 private:
  void work() {
    while (!ending_) {
      const std::uint64_t seed = options_.first + next_++;
      if (seed >= options_.first + options_.seeds) return;
      seed_of_thread = seed;
      const sim::Outcome outcome = sim::run_seed(seed, options_.trace ? &std::cout : nullptr);
      const std::lock_guard lock(mutex_);
      add(outcome, sum_);
      if (!outcome.violation.empty()) {
        ++failures_;
        std::cout << "seed " << seed << ": " << outcome.violation
                  << "; replay: " << sim::replay_command(seed) << std::endl;
        if (options_.stop_at_first) ending_ = true;
      }
      if (options_.seeds == 1)
        std::cout << "trace " << std::hex << outcome.trace_hash << std::dec << "\n";
      if (!options_.quiet && sum_.counts.seeds % 500 == 0) {
        std::cerr << sum_.counts.seeds << " seeds, " << failures_ << " failed\n";
      }
    }
  }

  void summarise() const {
    const double elapsed =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - began_).count();
    const auto& counts = sum_.counts;
    const auto& ledger = sum_.ledger;
    std::cout << counts.seeds << " seeds, " << failures_ << " failed, in " << elapsed << " s ("
              << static_cast<std::uint64_t>(static_cast<double>(counts.seeds) * 60 / elapsed)
              << " a minute); " << counts.simulated_ms / 1000 << " s simulated, " << counts.steps
              << " steps\n"
              << "messages: " << ledger.messages << ", " << ledger.acked << " acked, "
              << ledger.dead_letters << " dead letters, " << ledger.left << " left; "
              << ledger.executions << " executions, " << ledger.duplicates << " duplicates\n"
              << "faults: " << counts.crashes << " crashes, " << counts.pauses << " pauses, "
              << counts.stops << " stops, " << counts.scalings << " scalings, " << counts.partitions
              << " partitions, " << counts.reconnects << " reconnects, " << counts.redis_faults
              << " of Redis; " << counts.frames << " frames, " << counts.frames_lost << " lost, "
              << counts.frames_doubled << " doubled, " << counts.frames_replayed << " replayed, "
              << counts.sightings << " sightings\n";
  }

  Options options_;
  std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
  std::atomic<std::uint64_t> next_{0};
  std::atomic<bool> ending_{false};
  std::mutex mutex_;
  sim::Outcome sum_;
  std::uint64_t failures_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  const Options options = parse(argc, argv);
  std::signal(SIGABRT, report_abort);
  std::signal(SIGSEGV, report_abort);
  return Run(options)();
}
