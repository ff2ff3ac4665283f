#include "task_node/task_stats.hpp"

namespace tempest::task_node {
namespace {

using Status = wire::Results::Status;

/// The results that end a delivery here, and what they are called in statistics.
struct NamedOutcome {
  Status status;
  const char* name;
};
constexpr NamedOutcome kOutcomes[] = {
    {Status::done, "done"},
    {Status::retry, "retry"},
    {Status::fail, "fail"},
    {Status::returned, "returned"},
    {Status::unavailable, "unavailable"},
    {Status::timed_out, "timed_out"},
    {Status::tree_timed_out, "tree_timed_out"},
};

}  // namespace

void TaskStats::Task::count(const FusedTask& task) {
  for (std::size_t i = 0; i < handled.size(); ++i) {
    handled[i] += task.handled[i];
    fused += task.handled[i];
  }
  handle_times.merge(task.handle_times);
  dropped_outputs += task.dropped_outputs;
}

void TaskStats::report(wire::StatsBuilder& stats) const {
  stats.counter("tempest_results_dropped_total", "reason", "coordinator_lost", late_results);
  stats.counter("tempest_results_dropped_total", "reason", "overdue", overdue_results);
  stats.counter("tempest_handler_threads_replaced_total", threads_replaced);
  stats.counter("tempest_deliveries_dropped_total", "reason", "coordinator_lost",
                dropped_deliveries);
  stats.counter("tempest_deliveries_refused_total", refused_deliveries);
  stats.counter("tempest_malformed_bodies_total", malformed_bodies);
  stats.counter("tempest_coordinators_lost_total", coordinators_lost);
  for (const auto& [name, task] : tasks) {
    stats.for_task(name);
    for (const NamedOutcome& outcome : kOutcomes) {
      stats.counter("tempest_task_handled_total", "outcome", outcome.name,
                    task.handled[static_cast<std::size_t>(outcome.status)]);
    }
    stats.counter("tempest_task_fused_total", task.fused);
    stats.counter("tempest_task_outputs_dropped_total", task.dropped_outputs);
    stats.distribution("tempest_task_handle_seconds", task.handle_times);
    stats.distribution("tempest_task_wait_seconds", task.wait_times);
  }
  untaken.report(stats);
}

}  // namespace tempest::task_node
