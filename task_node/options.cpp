#include "task_node/options.hpp"

#include <algorithm>

#include "tempest/base/limits.hpp"
#include "tempest/base/utf8.hpp"
#include "tempest/runtime/usable_cpus.hpp"

namespace tempest::task_node {
namespace {

constexpr int kMaxThreads = 1024;

std::string default_threads() {
  return std::to_string(std::min<std::size_t>(runtime::usable_cpus(), kMaxThreads));
}

}  // namespace

void add_options(runtime::CommandLine& line) {
  line.option("topology", "NAME", "The topology whose tasks to run (required)");
  line.list("task", "NAME", "A task to serve; by default all of the topology's");
  line.option(
      "fuse", "WHEN",
      "Give a task's outputs to the next task at once, where that is served here too, groups "
      "by shuffle and has no timeout: quick (while it takes less than 50 us), never",
      "quick");
  line.option("threads", "N",
              "Handler threads; by default one for each CPU that may be used (taskset, a "
              "container's quota)",
              default_threads());
  line.list("library", "FILE",
            "A task library to load, besides those that the topology names: a path, or a name to "
            "look for");
  line.list("library-path", "DIR", "Where to look for task libraries");
  runtime::add_node_options(Role::task, line);
  line.example("tempest-task --topology wordcount",
               "run all tasks of that topology, on as many threads as there are CPUs for it")
      .example("tempest-task --topology wordcount --task count --threads 2",
               "run one of its tasks on two threads")
      .example(
          "tempest-task --broker tcp://10.0.0.5:5550 --topology wordcount "
          "--library-path /opt/wordcount/lib",
          "find the broker on another host, and the libraries in a folder");
}

Options read_options(runtime::CommandLine& line) {
  Options options;
  options.node = runtime::read_node_options(Role::task, line);
  options.topology = line.text("topology");
  if (options.topology.empty()) line.fail("--topology NAME is required");
  if (!is_name(options.topology)) {
    line.fail("--topology takes up to " + std::to_string(kMaxNameBytes) +
              " bytes of UTF-8 without control characters");
  }

  TaskNodeOptions& task_node = options.task_node;
  task_node.brokers = options.node.brokers;
  task_node.link = options.node.link;
  task_node.drain_timeout = options.node.drain_timeout;
  task_node.stall_after = options.node.stall_after;
  task_node.threads = static_cast<std::size_t>(line.integer("threads", 1, kMaxThreads));
  task_node.plan.tasks = line.texts("task");
  task_node.plan.libraries.files = line.texts("library");
  task_node.plan.libraries.folders = line.texts("library-path");
  const std::string fuse = line.text("fuse");
  if (fuse != "quick" && fuse != "never") line.fail("--fuse takes quick or never");
  task_node.plan.fusing = fuse == "never" ? Fusing::never : Fusing::when_quick;
  return options;
}

}  // namespace tempest::task_node
