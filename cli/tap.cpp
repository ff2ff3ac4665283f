#include <atomic>
#include <ctime>
#include <iostream>
#include <nlohmann/json.hpp>

#include "cli/commands.hpp"
#include "cli/dead_letter_options.hpp"
#include "cli/progress.hpp"
#include "cli/watch_session.hpp"
#include "tempest/base/quantity.hpp"
#include "tempest/base/safe_text.hpp"
#include "tempest/base/utf8.hpp"
#include "tempest/builtin/json_text.hpp"
#include "tempest/runtime/clock.hpp"
#include "tempest/runtime/exit_code.hpp"
#include "tempest/runtime/node_program.hpp"

namespace tempest::cli {
namespace {

using Json = nlohmann::ordered_json;
using Kind = wire::Sighting::Kind;

/// How soon a signal is heeded.
constexpr Duration kSlice = std::chrono::milliseconds(200);

std::string clock_text() {
  std::timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  std::tm parts{};
  ::gmtime_r(&now.tv_sec, &parts);
  char text[64];
  const std::size_t size = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
  std::snprintf(text + size, sizeof text - size, ".%03ldZ", now.tv_nsec / 1'000'000);
  return text;
}

std::string shown(const std::string& bytes) {
  return is_utf8(bytes) ? safe_text(bytes) : "base64:" + builtin::json_text("", bytes).text;
}

void print_text(const wire::Sighting& message, const std::string& worker) {
  std::cout << clock_text() << "  " << message.task
            << (message.kind == Kind::input ? " <-" : " ->");
  if (!message.text.empty()) std::cout << " [" << safe_text(message.text) << "]";
  std::cout << "  " << worker;
  if (message.attempt > 1) std::cout << "  attempt " << message.attempt;
  if (!message.key.empty()) std::cout << "  key=" << shown(message.key);
  std::cout << "  " << shown(message.payload);
  if (message.payload.size() < message.payload_bytes) {
    std::cout << "... (" << format_size_bytes(message.payload_bytes) << ")";
  }
  std::cout << "\n";
}

void print_json(const wire::Sighting& message, const std::string& worker,
                const std::string& topology) {
  Json json{{"time", clock_text()}, {"topology", topology},
            {"task", message.task}, {"side", message.kind == Kind::input ? "input" : "output"},
            {"worker", worker},     {"attempt", message.attempt}};
  if (message.kind == Kind::output) json["output"] = message.text;
  const auto put = [&json](const char* name, const std::string& bytes) {
    auto field = builtin::json_text(name, bytes);
    json[field.name] = std::move(field.text);
  };
  put("key", message.key);
  put("payload", message.payload);
  json["payload_bytes"] = message.payload_bytes;
  std::cout << json.dump(-1, ' ', false, Json::error_handler_t::replace) << "\n";
}

int follow(const WatchOptions& options) {
  std::atomic<bool> stop{false};
  const runtime::StopSignals signals(
      [](void* context, bool) { static_cast<std::atomic<bool>*>(context)->store(true); }, &stop);
  auto session = WatchSession::open(options.brokers, options.watch);
  if (!session) {
    std::cerr << "tempest tap: " << safe_text(session.error().message) << "\n";
    return runtime::kExitUnavailable;
  }
  std::cerr << "tempest tap: at " << options.watch.topology << "." << options.watch.task
            << "; Ctrl-C ends\n";
  const TimePoint end_at =
      options.longest > Duration::zero() ? runtime::monotonic_now() + options.longest : kNever;
  std::uint64_t printed = 0;
  const auto is_enough = [&] { return options.limit > 0 && printed == options.limit; };
  while (!stop && !is_enough() && runtime::monotonic_now() < end_at) {
    const auto said = (*session)->next(kSlice);
    if (!said) continue;
    for (const wire::Sighting& message : said->sightings) {
      if (is_enough()) break;
      options.json ? print_json(message, said->node, options.watch.topology)
                   : print_text(message, said->node);
      ++printed;
    }
    if (!std::cout.flush()) break;
  }
  report_totals(**session, "tempest tap",
                grouped(printed) + (printed == 1 ? " message" : " messages"));
  return runtime::kExitOk;
}

}  // namespace

int tap_command(int argc, const char* const* argv) {
  runtime::CommandLine line("tempest tap",
                            "Shows live messages at a task of a running topology: copies of some, "
                            "without holding anything up.");
  line.option("task", "NAME", "At which task (needed)")
      .option("side", "SIDE", "input, output or both", "input");
  add_watch_options(line, "End after so many messages; 0: never", "20");
  line.example("tempest tap --task split --limit 20", "twenty messages that task split is given")
      .example("tempest tap --task split --side output --text error --limit 0",
               "what it makes of them, if it holds 'error', until Ctrl-C")
      .example("tempest tap --task count --for 10s --json | jq -r .payload", "for scripts");
  if (const auto exit = line.parse(argc, argv)) return *exit;
  WatchOptions options = read_watch_options(line);
  options.watch.kind = wire::Watch::Kind::tap;
  options.watch.task = line.text("task");
  if (options.watch.task.empty()) line.fail("which task? give --task NAME");
  const std::string side = line.text("side");
  if (side == "both") {
    options.watch.side = wire::Watch::both;
  } else if (side == "output") {
    options.watch.side = wire::Watch::output;
  } else if (side != "input") {
    line.fail("--side is input, output or both, not '" + side + "'");
  }
  if (line.failed()) return runtime::kExitUsage;
  if (const auto exit = find_watched(options, "tempest tap")) return *exit;
  return follow(options);
}

}  // namespace tempest::cli
