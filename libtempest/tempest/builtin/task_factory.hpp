#pragma once

#include <memory>
#include <span>
#include <string>

#include "tempest/base/result.hpp"
#include "tempest/runtime/task_libraries.hpp"
#include "tempest/task.hpp"
#include "tempest/topology.hpp"

/// The built-in tasks, and how each is set up in the table of its own name:
///
/// identity  Hands each message on.
/// drop      Ends each message.
/// sleep     Waits for `time`, then hands the message on.
/// fail      Fails every `every`th (1) of the messages that contain `match` (empty: of all), as
///           this instance counts them, attempts included; hands the others on. `kind` ("retry"):
///           retry, fail, or throw. With `times` only attempts up to that number fail (0: all).
/// sink      Writes each message to the sink that `type` names (sink_factory.hpp), and is done with
///           it once the sink has confirmed it. Emits nothing.
namespace tempest::builtin {

/// A new instance of what the definition `uses`, opened with its `config`. Errors have the task's
/// name, and are of code `configuration` unless open() gave another. `call_limit` is how long one
/// call may take, for a sink (sink_factory.hpp); zero: any time.
Result<std::unique_ptr<Task>> create_task(const TaskDefinition& definition,
                                          const runtime::TaskLibraries& libraries,
                                          Duration call_limit = Duration::zero());

std::span<const std::string> task_names();

}  // namespace tempest::builtin
