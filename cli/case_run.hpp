#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "cli/case_file.hpp"
#include "task_node/plan.hpp"
#include "tempest/base/result.hpp"

namespace tempest::cli {

/// What came of a case.
struct CaseResult {
  struct Failure {
    std::string task;
    std::string kind;  ///< "retry" or "fail".
    std::string reason;
  };

  /// Of a case with a task: what it emitted, in order.
  CaseMessages outputs;
  /// Of the whole pipeline: what each task was given, in order. Keys are always set.
  std::map<std::string, CaseMessages> reached;
  /// Of messages that failed for good; of a task's case, of each input that failed.
  std::vector<Failure> failures;
};

/// Runs a case with instances of its own, so that cases share nothing: each input in turn, a task
/// after all that comes before it. A task `sink` only takes note of what it gets. In a case of the
/// whole pipeline what fails is tried again at once, as often as the topology says; in one of a
/// task alone an input is tried once. Errors: an instance cannot be made.
Result<CaseResult> run_case(const TestCase& test, const task_node::Plan& plan);

/// The plan of a topology's file.
Result<std::shared_ptr<const task_node::Plan>> plan_of(const Topology& topology,
                                                       const runtime::LibraryPlaces& libraries);

}  // namespace tempest::cli
