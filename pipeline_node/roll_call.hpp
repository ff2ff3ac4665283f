#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "tempest/base/ids.hpp"
#include "tempest/base/time.hpp"
#include "tempest/dag/graph.hpp"
#include "tempest/link/node.hpp"
#include "tempest/registry/directory.hpp"
#include "tempest/tracking/scheduler.hpp"

namespace tempest::pipeline_node {

/// Compares the workers that the directory lists with those that are attached here, and says who
/// may own slots of keys.
///
///     listed, attached              -> here
///     listed, not attached          -> expected; after `patience` reported as missing, so that the
///                                      broker has the slots go to workers that all coordinators
///                                      have; after twice that given up here, whatever it says
///     attached, not listed          -> reported at once, so that the broker lists it; after twice
///                                      `patience` it counts as listed
///
/// A coordinator's machine owns it. Each worker that is missed is said once, and once more when it
/// is there again.
class RollCall {
 public:
  RollCall(const dag::Graph& graph, Duration patience) : graph_(graph), patience_(patience) {}

  /// The directory lists these. `is_ours`: they follow this coordinator's definition, so each is
  /// to attach here.
  void list(const std::vector<registry::Directory::Worker>& workers, bool is_ours);
  void attach(const std::string& name, Incarnation incarnation, std::vector<TaskId> tasks);
  void detach(std::string_view name);
  /// Says who is missed and who is back. Returns true if workers() or what fill() gives has changed
  /// since the last turn.
  bool turn(TimePoint now, std::vector<link::Notice>& notices);
  TimePoint next_turn() const { return next_turn_; }

  /// Who is here is told only where that matters: while somebody has been given up.
  std::vector<tracking::Scheduler::DirectoryWorker> workers() const;
  /// Who is attached and who is missing.
  void fill(registry::SlotReport& report) const;
  /// The first worker that is missed, for people; empty if none is.
  std::string describe() const;

 private:
  enum class Stage : std::uint8_t { fine, differs, missed, overdue };

  struct Worker {
    bool is_listed = false;
    bool is_attached = false;
    Incarnation incarnation;  ///< As listed, or if it is not, as attached.
    std::vector<TaskId> listed_tasks;
    std::vector<TaskId> attached_tasks;
    std::uint64_t absences = 0;
    Stage stage = Stage::fine;
    TimePoint since{};  ///< When the list and who is here began to differ.

    const std::vector<TaskId>& tasks() const { return is_listed ? listed_tasks : attached_tasks; }
    bool is_missing() const { return is_listed && !is_attached && !listed_tasks.empty(); }
  };

  /// Returns the next time at which it is to be looked at.
  TimePoint look_at(const std::string& name, Worker& worker, TimePoint now,
                    std::vector<link::Notice>& notices);
  bool has_keyed(const Worker& worker) const;

  const dag::Graph& graph_;
  Duration patience_;
  std::map<std::string, Worker, std::less<>> workers_;
  bool has_changed_ = false;
  TimePoint next_turn_ = kNever;
};

}  // namespace tempest::pipeline_node
