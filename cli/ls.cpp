#include <algorithm>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>

#include "cli/broker_query.hpp"
#include "cli/commands.hpp"
#include "cli/text_table.hpp"
#include "tempest/base/quantity.hpp"
#include "tempest/base/safe_text.hpp"
#include "tempest/runtime/command_line.hpp"
#include "tempest/runtime/exit_code.hpp"

namespace tempest::cli {
namespace {

using Json = nlohmann::ordered_json;

struct ListedTopology {
  std::string version;  ///< Of the coordinator that has registered last.
  std::uint64_t version_age_ms = 0;
  std::map<Role, std::size_t> nodes;

  std::string count(Role role) const {
    const auto found = nodes.find(role);
    return std::to_string(found == nodes.end() ? 0 : found->second);
  }
};

std::map<std::string, ListedTopology> topologies_of(const std::vector<ListedNode>& nodes) {
  std::map<std::string, ListedTopology> topologies;
  for (const ListedNode& node : nodes) {
    if (node.topology.empty()) continue;
    ListedTopology& topology = topologies[node.topology];
    ++topology.nodes[node.role];
    if (node.role != Role::pipeline) continue;
    if (!topology.version.empty() && topology.version_age_ms <= node.age_ms) continue;
    topology.version = node.topology_version;
    topology.version_age_ms = node.age_ms;
  }
  return topologies;
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ",") + word;
  return text;
}

std::string or_dash(const std::string& text) {
  return text.empty() ? "-" : text;
}

/// Whole seconds: nobody looks for more in a list.
std::string age(std::uint64_t age_ms) {
  const auto whole = std::chrono::seconds(age_ms / 1000);
  return whole.count() == 0 ? "0s" : format_duration(whole);
}

void print_tables(const std::vector<ListedNode>& nodes) {
  TextTable topologies({"TOPOLOGY", "VERSION", ">SOURCES", ">COORDINATORS", ">WORKERS"});
  for (const auto& [name, topology] : topologies_of(nodes)) {
    topologies.add({name, or_dash(topology.version), topology.count(Role::source),
                    topology.count(Role::pipeline), topology.count(Role::task)});
  }
  if (!topologies.empty()) {
    topologies.print(std::cout);
    std::cout << "\n";
  }
  TextTable table({"NODE", "ROLE", "TOPOLOGY", "STATE", ">FOR", "ENDPOINT", "TASKS"});
  for (const ListedNode& node : nodes) {
    table.add({node.name, to_string(node.role), or_dash(node.topology), node.state,
               age(node.age_ms), or_dash(node.endpoint), or_dash(joined(node.tasks))});
  }
  table.print(std::cout);
}

void print_json(const std::vector<ListedNode>& nodes) {
  Json topologies = Json::array();
  for (const auto& [name, topology] : topologies_of(nodes)) {
    Json counts = Json::object();
    for (const auto& [role, count] : topology.nodes) counts[to_string(role)] = count;
    topologies.push_back({{"name", name}, {"version", topology.version}, {"nodes", counts}});
  }
  Json list = Json::array();
  for (const ListedNode& node : nodes) {
    list.push_back({{"name", node.name},
                    {"role", to_string(node.role)},
                    {"incarnation", to_string(node.incarnation)},
                    {"topology", node.topology},
                    {"topology_version", node.topology_version},
                    {"endpoint", node.endpoint},
                    {"tasks", node.tasks},
                    {"state", node.state},
                    {"registered_seconds", static_cast<double>(node.age_ms) / 1000.0}});
  }
  const Json json{{"topologies", topologies}, {"nodes", list}};
  std::cout << json.dump(-1, ' ', false, Json::error_handler_t::replace) << "\n";
}

}  // namespace

int ls_command(int argc, const char* const* argv) {
  runtime::CommandLine line("tempest ls", "Lists the topologies and nodes that a broker knows.");
  line.list("broker", "URL", "A broker's address", "tcp://127.0.0.1:5550")
      .option("topology", "NAME", "Only this topology's nodes")
      .option("timeout", "DURATION", "How long to wait for a broker", "3s")
      .flag("json", "One JSON object rather than a table")
      .example("tempest ls", "ask the broker on this machine")
      .example("tempest ls --json | jq '.nodes[].name'", "for scripts");
  if (const auto exit = line.parse(argc, argv)) return *exit;
  const Duration patience = line.duration("timeout");
  if (line.failed()) return runtime::kExitUsage;

  auto nodes = ask_for_nodes(line.texts("broker"), patience);
  if (!nodes) {
    std::cerr << "tempest ls: " << safe_text(nodes.error().message) << "\n";
    return nodes.error().code == ErrorCode::invalid_argument ? runtime::kExitUsage
                                                             : runtime::kExitUnavailable;
  }
  if (const std::string topology = line.text("topology"); !topology.empty()) {
    std::erase_if(*nodes, [&](const ListedNode& node) { return node.topology != topology; });
  }
  line.has_flag("json") ? print_json(*nodes) : print_tables(*nodes);
  return runtime::kExitOk;
}

}  // namespace tempest::cli
