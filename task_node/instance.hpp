#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>

#include "tempest/base/ids.hpp"
#include "tempest/base/time.hpp"
#include "tempest/task.hpp"
#include "tempest/topology.hpp"

namespace tempest::task_node {

/// One thread's instance of a task.
struct Instance {
  std::unique_ptr<Task> task;  ///< Null: the task is not served here.
  const TaskDefinition* definition = nullptr;
  TaskId id{};
  bool terminal = false;
  std::size_t max_batch = 0;  ///< 0: one by one.
  /// What handling one message takes, as far as it is known; zero before the first.
  double mean_ns = 0;

  Result<void> handle(const Message& message, Context& context) const {
    if (!task->filter(message)) return {};
    return task->handle(message, context);
  }

  /// A message has taken this long. One that took very long for once moves the mean by a bounded
  /// step: it was most likely the kernel's doing.
  void learn(Duration taken) {
    constexpr double kMostNs = 400e3;
    constexpr double kWeight = 0.125;
    const auto ns = static_cast<double>(taken.count());
    mean_ns = mean_ns == 0 ? ns : mean_ns + kWeight * (std::min(ns, kMostNs) - mean_ns);
  }
};

}  // namespace tempest::task_node
