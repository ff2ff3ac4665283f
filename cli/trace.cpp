#include <atomic>
#include <iostream>

#include "cli/commands.hpp"
#include "cli/progress.hpp"
#include "cli/trace_view.hpp"
#include "cli/watch_session.hpp"
#include "tempest/base/safe_text.hpp"
#include "tempest/runtime/clock.hpp"
#include "tempest/runtime/exit_code.hpp"
#include "tempest/runtime/node_program.hpp"

namespace tempest::cli {
namespace {

/// How soon a signal is heeded.
constexpr Duration kSlice = std::chrono::milliseconds(100);
/// What is said of a message comes by way of several nodes: so long after its end one of them may
/// still have something to say.
constexpr Duration kQuiet = std::chrono::milliseconds(300);

class Printer {
 public:
  Printer(const WatchOptions& options, bool only_trouble)
      : options_(options), only_trouble_(only_trouble) {}

  /// False: that was the last one wanted, or nobody reads.
  bool print(const std::vector<TracedMessage>& messages) {
    const TimePoint now = runtime::monotonic_now();
    for (const TracedMessage& message : messages) {
      if (only_trouble_ && !message.has_trouble()) continue;
      std::cout << (options_.json ? trace_json(message, options_.watch.topology, now) + "\n"
                                  : trace_text(message, now));
      if (!std::cout.flush()) return false;
      if (++printed_ == options_.limit) return false;
    }
    return true;
  }
  std::uint64_t printed() const { return printed_; }

 private:
  const WatchOptions& options_;
  bool only_trouble_;
  std::uint64_t printed_ = 0;
};

int follow(const WatchOptions& options, bool only_trouble) {
  std::atomic<bool> stop{false};
  const runtime::StopSignals signals(
      [](void* context, bool) { static_cast<std::atomic<bool>*>(context)->store(true); }, &stop);
  auto session = WatchSession::open(options.brokers, options.watch);
  if (!session) {
    std::cerr << "tempest trace: " << safe_text(session.error().message) << "\n";
    return runtime::kExitUnavailable;
  }
  std::cerr << "tempest trace: following messages of " << options.watch.topology
            << "; Ctrl-C ends\n";
  const TimePoint end_at =
      options.longest > Duration::zero() ? runtime::monotonic_now() + options.longest : kNever;
  // Those of which something may yet go wrong are followed besides those that are shown.
  TraceView view(only_trouble ? 0 : options.limit);
  Printer printer(options, only_trouble);
  bool goes_on = true;
  while (goes_on && !stop && runtime::monotonic_now() < end_at) {
    if (auto said = (*session)->next(kSlice)) view.take(std::move(*said), runtime::monotonic_now());
    goes_on = printer.print(view.take_ended(runtime::monotonic_now(), kQuiet));
  }
  while (auto said = (*session)->next(Duration::zero())) {
    view.take(std::move(*said), runtime::monotonic_now());
  }
  if (goes_on) printer.print(view.take_rest());
  report_totals(**session, "tempest trace",
                grouped(printer.printed()) + (printer.printed() == 1 ? " message" : " messages"));
  return runtime::kExitOk;
}

}  // namespace

int trace_command(int argc, const char* const* argv) {
  runtime::CommandLine line(
      "tempest trace",
      "Follows messages of a running topology through every hop, from their read to their ack: "
      "which attempt of which task, on which worker, how long it waited and was handled, and what "
      "came of it. Costs what is not traced nothing, and ends with this command.");
  add_watch_options(line, "End after so many messages; 0: never", "10");
  line.option("id", "ID",
              "Only the message that its source calls so: 1700000000000-0, line 17, ...")
      .flag("trouble", "Show only messages with which something went wrong on the way")
      .example("tempest trace", "ten of the messages that are read from now on")
      .example("tempest trace --trouble --for 60s --limit 0", "what goes wrong within a minute")
      .example("tempest trace --text order-4711 --json --limit 1 | jq '.hops'",
               "the way of one message, for scripts")
      .example("tempest trace --for 10s",
               "also where messages are stuck: what has no end by then is shown as it is");
  if (const auto exit = line.parse(argc, argv)) return *exit;
  WatchOptions options = read_watch_options(line);
  options.watch.message = line.text("id");
  if (line.failed()) return runtime::kExitUsage;
  if (const auto exit = find_watched(options, "tempest trace")) return *exit;
  return follow(options, line.has_flag("trouble"));
}

}  // namespace tempest::cli
