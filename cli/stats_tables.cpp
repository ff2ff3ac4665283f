#include "cli/stats_tables.hpp"

#include <cmath>
#include <nlohmann/json.hpp>
#include <ostream>
#include <sstream>

#include "cli/text_table.hpp"
#include "tempest/base/json_nesting.hpp"
#include "tempest/base/quantity.hpp"

namespace tempest::cli {
namespace {

using Json = nlohmann::ordered_json;

std::string number(const Json& json, const char* key) {
  const auto value = json.find(key);
  if (value == json.end() || !value->is_number()) return "-";
  return value->is_number_float() ? std::to_string(std::llround(value->get<double>()))
                                  : std::to_string(value->get<std::int64_t>());
}

std::string percent(const Json& json, const char* key) {
  const auto value = json.find(key);
  if (value == json.end() || !value->is_number()) return "-";
  return std::to_string(std::llround(100 * value->get<double>())) + "%";
}

/// Returns a time of the distribution under `key`, for people.
std::string time(const Json& json, const char* key, const char* what) {
  const auto distribution = json.find(key);
  if (distribution == json.end() || !distribution->is_object()) return "-";
  if (distribution->value("recent_count", std::int64_t{0}) == 0) return "-";
  const std::chrono::duration<double> seconds(distribution->value(what, 0.0));
  return format_duration(std::chrono::duration_cast<std::chrono::microseconds>(seconds));
}

void print_topologies(const Json& topologies, std::ostream& out) {
  TextTable table({"TOPOLOGY", ">READ", ">ACKED", ">FAILED", ">RETRIED", ">DEAD", ">IN FLIGHT",
                   ">ACKED/S", ">P50", ">P99", ">NODES"});
  for (const auto& [name, topology] : topologies.items()) {
    table.add({name, number(topology, "read"), number(topology, "acked"),
               number(topology, "failed"), number(topology, "retried"),
               number(topology, "dead_lettered"), number(topology, "in_flight"),
               number(topology, "messages_per_second"),
               time(topology, "tree_duration", "recent_p50_seconds"),
               time(topology, "tree_duration", "recent_p99_seconds"),
               std::to_string(topology.value("nodes", Json::array()).size())});
  }
  table.print(out);
}

void print_tasks(const Json& topologies, std::ostream& out) {
  TextTable table({"TASK", ">HANDLED", ">PER SECOND", ">RETRIED", ">TIMED OUT", ">QUEUED",
                   ">IN FLIGHT", ">P50", ">P99", ">CAPACITY", ">UNTAKEN"});
  for (const auto& [name, topology] : topologies.items()) {
    const Json tasks = topology.value("tasks", Json::object());
    for (const auto& [task, numbers] : tasks.items()) {
      table.add({name + "." + task, number(numbers, "handled"),
                 number(numbers, "handled_per_second"), number(numbers, "retried"),
                 number(numbers, "timed_out"), number(numbers, "queued"),
                 number(numbers, "in_flight"), time(numbers, "handle", "recent_p50_seconds"),
                 time(numbers, "handle", "recent_p99_seconds"), percent(numbers, "capacity"),
                 number(numbers, "outputs_untaken")});
    }
  }
  if (!table.empty()) table.print(out);
}

/// Says what tempest-stats had no room for.
void print_left_out(const Json& json, const Json& topologies, std::ostream& out) {
  for (const auto& [name, topology] : topologies.items()) {
    const auto left_out = topology.value("series_left_out", std::uint64_t{0});
    if (left_out == 0) continue;
    out << "... and " << left_out << " more numbers that nodes of " << name
        << " report and tempest-stats has no room for, or cannot use\n";
  }
  if (const auto refused = json.value("reports_refused", std::uint64_t{0}); refused > 0) {
    out << "... and of more nodes than tempest-stats keeps, whose " << refused
        << " reports it has refused\n";
  }
}

void print(const Json& json, std::ostream& out) {
  const Json topologies = json.value("topologies", Json::object());
  const std::string time = json.value("time", std::string());
  if (topologies.empty()) {
    out << time << "  no topology is running\n\n";
    return;
  }
  out << time << "\n";
  print_topologies(topologies, out);
  print_tasks(topologies, out);
  print_left_out(json, topologies, out);
  out << "\n";
}

}  // namespace

bool print_stats_tables(const std::string& aggregate, std::ostream& out) {
  if (nests_deeper(aggregate)) return false;
  std::ostringstream tables;
  // Whoever publishes on the bus may have written it.
  try {
    print(Json::parse(aggregate), tables);
  } catch (const Json::exception&) {
    return false;
  }
  out << tables.str();
  return true;
}

}  // namespace tempest::cli
