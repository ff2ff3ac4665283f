#include "task_node/plan.hpp"

#include <algorithm>
#include <set>
#include <string_view>
#include <utility>

#include "tempest/base/spelling.hpp"
#include "tempest/builtin/task_factory.hpp"
#include "tempest/runtime/topology_file.hpp"

namespace tempest::task_node {
namespace {

Error wrong(std::string message) {
  return Error{ErrorCode::configuration, std::move(message)};
}

Result<std::vector<TaskId>> find_tasks(const Topology& topology,
                                       const std::vector<std::string>& names) {
  std::set<TaskId> found;
  for (const std::string& name : names) {
    const TaskId task = topology.graph.find(name);
    if (task == kNoTask) {
      std::vector<std::string> known;
      for (const TaskDefinition& definition : topology.tasks) known.push_back(definition.name);
      const auto nearest = nearest_name(name, known);
      return wrong("the topology \"" + topology.name + "\" has no task \"" + name + "\"" +
                   (nearest ? "; did you mean \"" + *nearest + "\"?" : ""));
    }
    found.insert(task);
  }
  if (names.empty()) {
    for (std::size_t i = 0; i < topology.tasks.size(); ++i) {
      found.insert(TaskId{static_cast<std::uint16_t>(i)});
    }
  }
  return std::vector<TaskId>(found.begin(), found.end());
}

/// What the served tasks take from libraries, and other names.
std::vector<std::string> used_parts(const Plan& plan) {
  std::vector<std::string> parts;
  for (const TaskId id : plan.tasks) {
    const TaskDefinition& task = plan.topology.tasks[static_cast<std::size_t>(id)];
    parts.push_back(task.uses == "sink" ? task.config.text("type") : task.uses);
  }
  return parts;
}

}  // namespace

Result<std::shared_ptr<const Plan>> make_plan(const std::string& version, const std::string& text,
                                              const PlanOptions& options,
                                              const runtime::TaskLibraries& linked) {
  std::vector<runtime::Diagnostic> diagnostics;
  auto topology = runtime::parse_topology(text, "the registry's topology", diagnostics);
  if (!topology) return wrong(runtime::joined(diagnostics));

  const auto plan = std::make_shared<Plan>();
  plan->version = version;
  plan->topology = std::move(*topology);
  plan->fusing = options.fusing;
  auto tasks = find_tasks(plan->topology, options.tasks);
  if (!tasks) return tasks.error();
  plan->tasks = std::move(*tasks);

  const auto libraries = std::make_shared<runtime::TaskLibraries>(linked);
  if (auto loaded = runtime::load_used_libraries(options.libraries, plan->topology.libraries,
                                                 used_parts(*plan), *libraries);
      !loaded) {
    return loaded.error();
  }
  const Duration message_limit = plan->topology.failure.timeout;
  plan->create = [libraries, message_limit](const TaskDefinition& definition) {
    const bool is_bounded_by_task =
        definition.timeout > Duration::zero() &&
        (message_limit <= Duration::zero() || definition.timeout < message_limit);
    return builtin::create_task(definition, *libraries,
                                is_bounded_by_task ? definition.timeout : message_limit);
  };
  return std::shared_ptr<const Plan>(plan);
}

}  // namespace tempest::task_node
