#include "task_node/task_stats.hpp"

namespace tempest::task_node {
namespace {

constexpr std::array<const char*, 4> kOutcomes{"done", "retry", "fail", "returned"};

}  // namespace

void TaskStats::Task::count(const FusedTask& task) {
  for (std::size_t i = 0; i < task.handled.size(); ++i) {
    handled[i] += task.handled[i];
    fused += task.handled[i];
  }
  handle_times.merge(task.handle_times);
  dropped_outputs += task.dropped_outputs;
}

void TaskStats::report(wire::StatsBuilder& stats) const {
  stats.counter("tempest_results_dropped_total", "reason", "coordinator_lost", late_results);
  stats.counter("tempest_deliveries_dropped_total", "reason", "coordinator_lost",
                dropped_deliveries);
  stats.counter("tempest_deliveries_refused_total", refused_deliveries);
  stats.counter("tempest_malformed_bodies_total", malformed_bodies);
  stats.counter("tempest_coordinators_lost_total", coordinators_lost);
  for (const auto& [name, task] : tasks) {
    stats.for_task(name);
    for (std::size_t i = 0; i < kOutcomes.size(); ++i) {
      stats.counter("tempest_task_handled_total", "outcome", kOutcomes[i], task.handled[i]);
    }
    stats.counter("tempest_task_fused_total", task.fused);
    stats.counter("tempest_task_outputs_dropped_total", task.dropped_outputs);
    stats.distribution("tempest_task_handle_seconds", task.handle_times);
    stats.distribution("tempest_task_wait_seconds", task.wait_times);
  }
}

}  // namespace tempest::task_node
