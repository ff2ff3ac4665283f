#include "task_node/task_stats.hpp"

namespace tempest::task_node {
namespace {

constexpr std::array<const char*, 4> kOutcomes{"done", "retry", "fail", "returned"};

}  // namespace

void add(const link::Counters& counters, link::Counters& sum) {
  sum.frames_sent += counters.frames_sent;
  sum.frames_received += counters.frames_received;
  sum.frames_resent += counters.frames_resent;
  sum.malformed += counters.malformed;
  sum.stale += counters.stale;
  sum.duplicate += counters.duplicate;
  sum.out_of_order += counters.out_of_order;
  sum.leases_lost += counters.leases_lost;
}

void add_number(wire::StatsReport& report, std::string_view name, double value, bool is_counter,
                std::string_view label, std::string_view label_value) {
  wire::StatsReport::Number& number = report.numbers.emplace_back();
  number.name = name;
  number.value = value;
  number.is_counter = is_counter;
  if (!label.empty()) number.labels.push_back({std::string(label), std::string(label_value)});
}

void TaskStats::report(const link::Counters& open_links, wire::StatsReport& report) const {
  for (const auto& [name, task] : tasks) {
    for (std::size_t i = 0; i < kOutcomes.size(); ++i) {
      add_number(report, "tempest_task_handled_total", static_cast<double>(task.handled[i]), true,
                 "task", name);
      report.numbers.back().labels.push_back({"outcome", kOutcomes[i]});
    }
    add_number(report, "tempest_task_outputs_dropped_total",
               static_cast<double>(task.dropped_outputs), true, "task", name);
    report.distributions.push_back(
        {"tempest_task_handle_seconds", {{"task", name}}, task.handle_times});
    report.distributions.push_back(
        {"tempest_task_wait_seconds", {{"task", name}}, task.wait_times});
  }
  const auto count = [&](const char* name, std::uint64_t value, std::string_view label = {},
                         std::string_view label_value = {}) {
    add_number(report, name, static_cast<double>(value), true, label, label_value);
  };
  count("tempest_results_dropped_total", late_results, "reason", "coordinator_lost");
  count("tempest_deliveries_dropped_total", dropped_deliveries, "reason", "coordinator_lost");
  count("tempest_deliveries_refused_total", refused_deliveries);
  count("tempest_task_malformed_bodies_total", malformed_bodies);
  count("tempest_coordinators_lost_total", coordinators_lost);

  link::Counters links = closed_links;
  add(open_links, links);
  count("tempest_link_frames_sent_total", links.frames_sent);
  count("tempest_link_frames_received_total", links.frames_received);
  count("tempest_link_frames_resent_total", links.frames_resent);
  count("tempest_link_malformed_total", links.malformed);
  count("tempest_link_stale_total", links.stale);
  count("tempest_link_duplicate_total", links.duplicate);
  count("tempest_link_out_of_order_total", links.out_of_order);
  count("tempest_link_leases_lost_total", links.leases_lost);
}

}  // namespace tempest::task_node
