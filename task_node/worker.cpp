#include "tempest/worker.hpp"

#include <cstdio>
#include <utility>

#include "task_node/options.hpp"
#include "task_node/task_node.hpp"
#include "tempest/runtime/exit_code.hpp"
#include "tempest/runtime/exit_guard.hpp"
#include "tempest/runtime/first_process.hpp"
#include "tempest/runtime/logging.hpp"
#include "tempest/runtime/process_guard.hpp"

namespace tempest {
namespace {

/// The loop has ended within the drain timeout: no task should still be running.
constexpr Duration kPatience = std::chrono::milliseconds(500);

std::string file_name(const char* path) {
  const std::string text = path;
  return text.substr(text.rfind('/') + 1);
}

}  // namespace

int run_worker(int argc, const char* const* argv,
               std::initializer_list<const TaskLibrary*> libraries) {
  runtime::guard_process();
  runtime::stand_behind_first_process();
  const std::string program = argc > 0 ? file_name(argv[0]) : "tempest-task";
  runtime::CommandLine line(program, "Runs tasks of a topology: a worker.");
  task_node::add_options(line);
  if (const auto exit = line.parse(argc, argv)) return *exit;
  task_node::Options options = task_node::read_options(line);
  if (line.failed()) return runtime::kExitUsage;

  const runtime::ExitGuard guard(program.c_str());
  runtime::TaskLibraries linked;
  for (const TaskLibrary* library : libraries) {
    if (auto added = linked.add(library); !added) {
      std::fprintf(stderr, "%s: %s\n", program.c_str(), added.error().message.c_str());
      return runtime::kExitConfiguration;
    }
  }

  const link::Identity identity =
      runtime::make_identity(Role::task, options.node.name, options.topology);
  runtime::Transport transport;
  runtime::NodeLoop loop(transport, runtime::loop_options(options.node, identity, {}));
  task_node::TaskNode node(identity, std::move(options.task_node), std::move(linked),
                           [&loop] { loop.wake(); });
  runtime::keep_memory_of_frames();
  const int exit_code = runtime::run_loop(loop, node);
  if (!node.stop_handlers(kPatience)) {
    runtime::Log(identity.name).warning("a task has not returned: ending without it");
    // Its thread still uses what a return from here would destroy.
    runtime::end_process(exit_code);
  }
  return exit_code;
}

}  // namespace tempest
