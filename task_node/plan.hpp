#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tempest/base/result.hpp"
#include "tempest/runtime/task_libraries.hpp"
#include "tempest/runtime/topology_libraries.hpp"
#include "tempest/task.hpp"
#include "tempest/topology.hpp"

namespace tempest::task_node {

/// Whether a task's outputs are handled at once where the next task is served as well (Fusion).
enum class Fusing {
  never,
  when_quick,  ///< While the next task is quick: see Fusion::kQuickNs.
  always,      ///< However long it takes. For tests: a clock has no part in it.
};

/// What handlers make their instances from. Never changes once made; shared by the threads.
struct Plan {
  std::string version;  ///< As the registry names it.
  Topology topology;
  std::vector<TaskId> tasks;  ///< Those served, in the order of their ids.
  Fusing fusing = Fusing::never;
  /// Makes an instance and opens it. Errors name the task. Called from several threads at once.
  std::function<Result<std::unique_ptr<Task>>(const TaskDefinition&)> create;
};

/// What a worker serves, and where its tasks come from.
struct PlanOptions {
  std::vector<std::string> tasks;  ///< By name; empty: all of the topology.
  runtime::LibraryPlaces libraries;
  Fusing fusing = Fusing::never;
};

/// Reads the definition, finds the tasks to serve, and loads the libraries that they come from.
/// Of the topology's own libraries only those are loaded that a served task uses and `linked` does
/// not hold. Errors are `configuration`, and name what is wrong.
Result<std::shared_ptr<const Plan>> make_plan(const std::string& version, const std::string& text,
                                              const PlanOptions& options,
                                              const runtime::TaskLibraries& linked);

}  // namespace tempest::task_node
