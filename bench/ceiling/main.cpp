#include <chrono>
#include <exception>
#include <iostream>
#include <nlohmann/json.hpp>

#include "bench/ceiling/ceiling.hpp"
#include "tempest/base/quantity.hpp"
#include "tempest/runtime/command_line.hpp"
#include "tempest/runtime/exit_code.hpp"
#include "tempest/runtime/process_guard.hpp"

using namespace tempest;

namespace {

int run(int argc, char** argv) {
  runtime::CommandLine line("tempest-ceiling",
                            "Measures what the wires allow, for tempest bench to compare with.");
  line.positional("WHAT", "relay, ping or redis");
  line.option("transport", "NAME", "tcp or ipc", "tcp");
  line.option("size", "BYTES", "The size of a message", "100");
  line.option("time", "DURATION", "How long to measure", "3s");
  line.option("batch", "N", "relay: messages in a frame; 0: what was found to be best", "0");
  line.option("window", "N", "relay: frames under way; 0: what was found to be best", "0");
  line.flag("copies", "relay: the one in the middle copies each message");
  line.option("redis", "URI", "redis: the server", "redis://127.0.0.1:6379/0");
  line.option("count", "N", "redis: entries of the stream", "500000");
  line.flag("json", "Print one JSON object");
  line.example("tempest-ceiling relay", "a bare relay of 100 bytes over loopback TCP");
  if (const auto exit = line.parse(argc, argv)) return *exit;

  ceiling::Settings settings;
  settings.ipc = line.text("transport") == "ipc";
  settings.size_bytes = static_cast<std::size_t>(line.integer("size", 1, 16 << 20));
  settings.seconds = std::chrono::duration<double>(line.duration("time")).count();
  settings.batch = static_cast<std::size_t>(line.integer("batch", 0, 65'536));
  settings.window = static_cast<std::size_t>(line.integer("window", 0, 65'536));
  settings.copies = line.has_flag("copies");
  settings.redis = line.text("redis");
  settings.count = static_cast<std::uint64_t>(line.integer("count", 1, 1'000'000'000));
  const std::string what = line.text("WHAT");
  auto measure = what == "relay"   ? ceiling::relay
                 : what == "ping"  ? ceiling::ping
                 : what == "redis" ? ceiling::redis
                                   : nullptr;
  if (measure == nullptr) line.fail("there is no '" + what + "': relay, ping or redis");
  if (line.failed()) return runtime::kExitUsage;

  const auto numbers = measure(settings);
  if (!numbers) {
    std::cerr << "tempest-ceiling: " << numbers.error().message << "\n";
    return runtime::kExitUnavailable;
  }
  if (line.has_flag("json")) {
    nlohmann::ordered_json object;
    for (const auto& [name, value] : *numbers) object[name] = value;
    std::cout << object.dump() << "\n";
    return runtime::kExitOk;
  }
  for (const auto& [name, value] : *numbers) std::cout << name << " " << value << "\n";
  return runtime::kExitOk;
}

}  // namespace

int main(int argc, char** argv) {
  runtime::guard_process();
  try {
    return run(argc, argv);
  } catch (const std::exception& exception) {
    std::cerr << "tempest-ceiling: " << exception.what() << "\n";
    return runtime::kExitInternal;
  }
}
