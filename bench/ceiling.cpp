#include "bench/ceiling.hpp"

#include <cmath>
#include <nlohmann/json.hpp>
#include <vector>

#include "bench/child.hpp"
#include "bench/nodes.hpp"
#include "tempest/runtime/node_program.hpp"

namespace tempest::bench {

namespace {

constexpr Duration kPatience = std::chrono::minutes(5);

}  // namespace

std::string ceiling_of(const Settings& settings) {
  if (settings.transport == Transport::process) return {};
  if (settings.workload == "redis") return "redis";
  if (settings.workload == "latency") return "ping";
  return settings.workload == "relay" ? "relay" : "";
}

Result<CeilingNumbers> measure_ceiling(const Settings& settings, double messages_per_frame) {
  const auto time_ms = std::chrono::duration_cast<std::chrono::milliseconds>(settings.time).count();
  std::vector<std::string> command = {runtime::program_folder() + "/tempest-ceiling",
                                      ceiling_of(settings),
                                      "--json",
                                      "--size",
                                      std::to_string(settings.size_bytes),
                                      "--time",
                                      std::to_string(time_ms) + "ms",
                                      "--transport",
                                      settings.transport == Transport::ipc ? "ipc" : "tcp"};
  if (ceiling_of(settings) == "relay" && messages_per_frame >= 1) {
    command.insert(command.end(), {"--batch", std::to_string(std::lround(messages_per_frame))});
  }
  if (settings.workload == "redis") {
    command.insert(command.end(),
                   {"--redis", settings.redis, "--count", std::to_string(settings.count)});
  }
  auto child = Child::start("tempest-ceiling", std::move(command), {{}, true, false});
  if (!child) return child.error();
  if (child->wait(kPatience) != 0) {
    return Error{ErrorCode::unavailable, "the ceiling could not be measured"};
  }
  const auto json = nlohmann::json::parse(child->output(), nullptr, false);
  if (!json.is_object()) {
    return Error{ErrorCode::unavailable, "the ceiling's numbers cannot be read"};
  }
  CeilingNumbers numbers;
  for (const auto& [name, value] : json.items()) {
    if (value.is_number()) numbers[name] = value.get<double>();
  }
  return numbers;
}

}  // namespace tempest::bench
