#pragma once

#include "tempest/base/random.hpp"
#include "tempest/base/time.hpp"
#include "tempest/task.hpp"

namespace tempest::sim {

class Ledger;
struct Scenario;

/// Where a handler of this thread finds itself: set around each call that may lead to user code,
/// to Redis or to the clock.
struct Surroundings {
  const Scenario* scenario = nullptr;
  Ledger* ledger = nullptr;
  Random* random = nullptr;
  bool dies = false;           ///< The call has killed its process.
  bool* hangs_next = nullptr;  ///< The next call of a task by key is to hang.
  bool faults = false;         ///< Attempts may fail that another would not.
  TimePoint started{};         ///< By the node's own clock.
  Duration elapsed{0};         ///< What has been spent since.

  static thread_local Surroundings current;
};

/// "sim:Step", the task of every topology here that is no sink.
const TaskLibrary* step_library();

}  // namespace tempest::sim
