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

/// "wordcount" of "lib/libwordcount.so.2" and of "wordcount".
std::string_view library_name(std::string_view file) {
  file.remove_prefix(file.rfind('/') == std::string_view::npos ? 0 : file.rfind('/') + 1);
  if (file.starts_with("lib")) file.remove_prefix(3);
  return file.substr(0, file.find(".so"));
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

Result<void> load_libraries(const Plan& plan, const PlanOptions& options,
                            runtime::TaskLibraries& libraries) {
  for (const std::string& file : options.libraries) {
    if (auto loaded = libraries.load(file, options.library_paths); !loaded) return loaded;
  }
  std::set<std::string, std::less<>> needed;
  for (const TaskId task : plan.tasks) {
    const std::string& uses = plan.topology.tasks[static_cast<std::size_t>(task)].uses;
    if (const auto colon = uses.find(':'); colon != std::string::npos) {
      needed.insert(uses.substr(0, colon));
    }
  }
  for (const std::string& name : libraries.library_names()) needed.erase(name);
  for (const std::string& file : plan.topology.libraries) {
    if (!needed.contains(library_name(file))) continue;
    if (auto loaded = libraries.load(file, options.library_paths); !loaded) return loaded;
  }
  return {};
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
  auto tasks = find_tasks(plan->topology, options.tasks);
  if (!tasks) return tasks.error();
  plan->tasks = std::move(*tasks);

  const auto libraries = std::make_shared<runtime::TaskLibraries>(linked);
  if (auto loaded = load_libraries(*plan, options, *libraries); !loaded) return loaded.error();
  plan->create = [libraries](const TaskDefinition& definition) {
    return builtin::create_task(definition, *libraries);
  };
  return std::shared_ptr<const Plan>(plan);
}

}  // namespace tempest::task_node
