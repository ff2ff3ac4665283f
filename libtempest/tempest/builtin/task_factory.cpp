#include "tempest/builtin/task_factory.hpp"

#include <array>
#include <exception>

#include "tempest/base/exception_text.hpp"
#include "tempest/builtin/passing_tasks.hpp"
#include "tempest/builtin/sink_factory.hpp"
#include "tempest/builtin/sink_task.hpp"
#include "tempest/builtin/unknown_name.hpp"
#include "tempest/runtime/declared_settings.hpp"

namespace tempest::builtin {
namespace {

Result<std::unique_ptr<Task>> instantiate_sink(const TaskDefinition& definition,
                                               const runtime::TaskLibraries& libraries,
                                               Duration call_limit) {
  const Settings& config = definition.config;
  auto sink = create_sink({config.text("type"), config}, libraries, call_limit);
  if (!sink) return sink.error();
  return std::unique_ptr<Task>(std::make_unique<SinkTask>(std::move(*sink)));
}

Result<std::unique_ptr<Task>> instantiate(const TaskDefinition& definition,
                                          const runtime::TaskLibraries& libraries,
                                          Duration call_limit) {
  const std::string& uses = definition.uses;
  if (uses.find(':') != std::string::npos) return libraries.create(uses);
  if (uses == "identity") return std::unique_ptr<Task>(std::make_unique<IdentityTask>());
  if (uses == "drop") return std::unique_ptr<Task>(std::make_unique<DropTask>());
  if (uses == "sleep") return std::unique_ptr<Task>(std::make_unique<SleepTask>());
  if (uses == "fail") return std::unique_ptr<Task>(std::make_unique<FailTask>());
  if (uses == "sink") return instantiate_sink(definition, libraries, call_limit);
  return unknown_name("built-in task", uses, task_names());
}

Result<void> open(Task& task, const TaskDefinition& definition) {
  try {
    Declarations declared;
    task.declare(declared);
    const auto config =
        runtime::with_declared(declared, "\"" + definition.uses + "\"", definition.config);
    if (!config) return config.error();
    return task.open(*config);
  } catch (const std::exception& exception) {
    return Error{ErrorCode::configuration, std::string("open() threw: ") + text_of(exception)};
  } catch (...) {
    return Error{ErrorCode::configuration, "open() threw something unknown"};
  }
}

Error in_task(const TaskDefinition& definition, Error error) {
  error.message = "task \"" + definition.name + "\": " + error.message;
  return error;
}

}  // namespace

std::span<const std::string> task_names() {
  static const std::array<std::string, 5> kNames = {"identity", "drop", "sleep", "fail", "sink"};
  return kNames;
}

Result<std::unique_ptr<Task>> create_task(const TaskDefinition& definition,
                                          const runtime::TaskLibraries& libraries,
                                          Duration call_limit) {
  auto task = instantiate(definition, libraries, call_limit);
  if (!task) return in_task(definition, task.error());
  if (auto opened = open(**task, definition); !opened) {
    return in_task(definition, opened.error());
  }
  return task;
}

}  // namespace tempest::builtin
