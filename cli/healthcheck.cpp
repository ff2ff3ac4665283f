#include <httplib.h>

#include <algorithm>
#include <array>
#include <iostream>
#include <optional>

#include "cli/broker_query.hpp"
#include "cli/commands.hpp"
#include "stats_node/http_server.hpp"
#include "tempest/base/safe_text.hpp"
#include "tempest/base/spelling.hpp"
#include "tempest/runtime/command_line.hpp"
#include "tempest/runtime/exit_code.hpp"
#include "tempest/runtime/node_program.hpp"

namespace tempest::cli {
namespace {

constexpr std::array kRoles{Role::broker, Role::source, Role::pipeline, Role::task, Role::stats};

std::optional<Role> parse_role(const std::string& text) {
  for (const Role role : kRoles) {
    if (text == to_string(role)) return role;
  }
  return std::nullopt;
}

/// Returns the nodes that are meant. Without a name: those that have the name that nodes take on
/// this host; if there are none, since they were given names of their own, all of the role.
std::vector<ListedNode> meant_nodes(const std::vector<ListedNode>& nodes, Role role,
                                    const std::string& name) {
  std::vector<ListedNode> of_role;
  std::vector<ListedNode> meant;
  const std::string own = std::string(to_string(role)) + "@" + runtime::host_name() + ":";
  for (const ListedNode& node : nodes) {
    if (node.role != role) continue;
    of_role.push_back(node);
    if (name.empty() ? node.name.starts_with(own) : node.name == name) meant.push_back(node);
  }
  return name.empty() && meant.empty() ? of_role : meant;
}

/// Returns what may be wrong with the name of a topology that nobody coordinates.
std::string topologies_there(const std::vector<ListedNode>& nodes, const std::string& topology) {
  std::vector<std::string> names;
  for (const ListedNode& node : nodes) {
    if (node.role == Role::pipeline) names.push_back(node.topology);
  }
  if (names.empty()) return "no coordinator is there";
  const auto nearest = nearest_name(topology, names);
  return "no coordinator brings '" + topology + "'" +
         (nearest ? "; did you mean '" + *nearest + "'?" : ", but one '" + names.front() + "'");
}

/// Returns why a node does not get on; empty if it does.
std::string trouble_of(const ListedNode& node, const std::vector<ListedNode>& nodes) {
  if (node.state.starts_with("stalled")) return node.name + " is " + node.state;
  if (!node.state.starts_with("waiting for")) return {};
  const bool is_coordinated = std::any_of(nodes.begin(), nodes.end(), [&](const ListedNode& other) {
    return other.role == Role::pipeline && other.topology == node.topology;
  });
  return node.name + " is " + node.state +
         (is_coordinated ? "" : ": " + topologies_there(nodes, node.topology));
}

/// Why the check fails; empty if it does not.
std::string check_broker(const std::vector<std::string>& brokers, Duration patience) {
  const auto nodes = ask_for_nodes(brokers, patience);
  return nodes ? "" : nodes.error().message;
}

std::string check_node(Role role, const std::string& name, const std::vector<std::string>& brokers,
                       Duration patience) {
  const auto nodes = ask_for_nodes(brokers, patience);
  if (!nodes) return nodes.error().message;
  const std::vector<ListedNode> meant = meant_nodes(*nodes, role, name);
  if (meant.empty()) {
    return "no live node " + (name.empty() ? std::string("of this host") : name) +
           " with the role " + to_string(role) + " is registered";
  }
  for (const ListedNode& node : meant) {
    if (std::string trouble = trouble_of(node, *nodes); !trouble.empty()) return trouble;
  }
  return {};
}

std::string check_http(const std::string& address, Duration patience) {
  std::string host;
  int port = 0;
  if (!stats_node::parse_address(address, host, port)) {
    return "--http takes HOST:PORT, not '" + address + "'";
  }
  httplib::Client client(host, port);
  const auto patience_us = std::chrono::duration_cast<std::chrono::microseconds>(patience).count();
  client.set_connection_timeout(patience_us / 1'000'000, patience_us % 1'000'000);
  client.set_read_timeout(patience_us / 1'000'000, patience_us % 1'000'000);
  const auto answer = client.Get("/livez");
  if (!answer) return "no answer from http://" + address + "/livez";
  return answer->status == 200 ? "" : "http://" + address + "/livez says: " + answer->body;
}

}  // namespace

int healthcheck_command(int argc, const char* const* argv) {
  runtime::CommandLine line("tempest healthcheck",
                            "Says by its exit code whether a node is well: 0, or 1 and why not.");
  line.option("role", "ROLE", "broker, source, pipeline, task or stats")
      .option("name", "NAME",
              "The node's name; by default all of that role on this host, or else all of that role")
      .list("broker", "URL", "A broker's address", "tcp://127.0.0.1:5550")
      .option("http", "HOST:PORT", "Of a stats node: where it serves", "127.0.0.1:9100")
      .option("timeout", "DURATION", "How long to wait", "3s")
      .example("tempest healthcheck --role broker", "the broker answers")
      .example("tempest healthcheck --role task --broker tcp://broker:5550",
               "this container's worker has a coordinator, and is not stalled");
  if (const auto exit = line.parse(argc, argv)) return *exit;
  const Duration patience = line.duration("timeout");
  const auto role = parse_role(line.text("role"));
  if (!role) {
    std::vector<std::string> names;
    for (const Role known : kRoles) names.emplace_back(to_string(known));
    const auto nearest = nearest_name(line.text("role"), names);
    line.fail("--role is broker, source, pipeline, task or stats" +
              (nearest ? "; did you mean '" + *nearest + "'?" : std::string()));
  }
  if (line.failed()) return runtime::kExitUsage;

  const std::string fault =
      *role == Role::broker  ? check_broker(line.texts("broker"), patience)
      : *role == Role::stats ? check_http(line.text("http"), patience)
                             : check_node(*role, line.text("name"), line.texts("broker"), patience);
  if (fault.empty()) return runtime::kExitOk;
  std::cerr << "tempest healthcheck: " << safe_text(fault) << "\n";
  return runtime::kExitCheckFailed;
}

}  // namespace tempest::cli
