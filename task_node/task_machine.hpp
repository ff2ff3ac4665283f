#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "task_node/coordinator_link.hpp"
#include "task_node/delivery_queue.hpp"
#include "task_node/execution.hpp"
#include "task_node/taps.hpp"
#include "task_node/task_stats.hpp"
#include "task_node/window_estimate.hpp"
#include "tempest/base/random.hpp"
#include "tempest/link/node.hpp"
#include "tempest/registry/member.hpp"

namespace tempest::task_node {

struct TaskMachineOptions {
  std::size_t threads = 1;
  /// The longest that a stop waits for what runs, and for its results to be confirmed.
  Duration drain_timeout = std::chrono::seconds(8);
  /// The most payload that each coordinator may have out here.
  std::uint64_t window_bytes = 16ULL << 20;
  /// A thread that has been at one batch for this long is said to be stalled.
  Duration stall_after = std::chrono::seconds(10);
};

/// The shell is to read this topology, make an instance of each served task for each thread, and
/// answer with built().
struct BuildRequest {
  std::string version;
  std::string text;
};

struct BuildAnswer {
  std::string version;
  /// Why it cannot be; then the worker ends.
  std::optional<Error> error;
  std::vector<ServedTask> tasks;
  /// It is one thread's, which was put in the place of one that had been given up.
  bool is_replacement = false;
};

/// What a turn wants done besides link::Effects. The shell carries it out and empties it.
struct Work {
  std::vector<std::unique_ptr<Execution>> executions;
  std::optional<BuildRequest> build;
  /// Threads that have been given up: to be done first, put another in the place of each.
  std::vector<std::size_t> replacements;
};

/// The worker, without sockets, clock, threads or user code: which coordinators it has links to,
/// what waits, what runs where, and what is answered.
///
///     waiting --a definition in the directory--> building --built--> serving
///        ^                                                              | another version
///        +------------- everything finished or given back <-------- switching
///
/// and from each of them, by stop(), draining: what has not been started goes back, what runs is
/// finished, results are confirmed by the links; then the end.
class TaskMachine {
 public:
  TaskMachine(link::Identity self, std::vector<std::string> brokers, const link::Settings& settings,
              TaskMachineOptions options, std::uint64_t seed);

  void start(TimePoint now, link::Effects& effects);
  void receive(const link::FrameReceived& received, TimePoint now, link::Effects& effects);
  /// A task asks for more time while it runs. Before completed() of its execution.
  void extend(const Extension& extension, TimePoint now);
  /// A thread has finished what it was given.
  void completed(std::unique_ptr<Execution> execution, TimePoint now, link::Effects& effects);
  void built(BuildAnswer answer, TimePoint now, link::Effects& effects);
  void turn(TimePoint now, link::Effects& effects, Work& work);
  TimePoint next_turn() const;
  void stop(bool at_once, TimePoint now, link::Effects& effects);

  void report(wire::StatsReport& report) const;

  /// What it serves; empty while it serves nothing.
  const std::string& topology_version() const { return version_; }
  const TaskStats& stats() const { return stats_; }
  const DeliveryQueue& queue() const { return queue_; }
  std::size_t coordinators_up() const;

 private:
  enum class Phase { waiting, building, serving, switching, draining, finished };

  bool winding_down() const { return phase_ == Phase::switching || phase_ == Phase::draining; }
  CoordinatorLink* find(link::ChannelId channel);

  // The directory and what follows from it.
  void register_node(TimePoint now, link::Effects& effects);
  void heed_directory(TimePoint now, link::Effects& effects);
  void match_coordinators(TimePoint now, link::Effects& effects);
  void open_link(const registry::Directory::Coordinator& coordinator, link::Effects& effects);
  bool is_listed(const CoordinatorLink& link) const;
  void close_unlisted(TimePoint now, link::Effects& effects);
  void close_link(CoordinatorLink& link, std::string_view reason, TimePoint now,
                  link::Effects& effects);
  void close_links(std::string_view reason, TimePoint now, link::Effects& effects);

  // What the links say.
  /// Counts what no edge takes; says it, and shows it in the node's state, the first time.
  void count_untaken(const Execution& execution, TimePoint now, link::Effects& effects);
  void take_events(CoordinatorLink& link, const SharedBytes& frame, TimePoint now,
                   link::Effects& effects);
  void came_up(CoordinatorLink& link, TimePoint now, link::Effects& effects);
  void lost(CoordinatorLink& link, link::LostReason reason, link::Effects& effects);
  void take_body(CoordinatorLink& link, const link::Event& event, const SharedBytes& frame,
                 TimePoint now, link::Effects& effects);
  /// What came over it cannot be read: with the session, its work goes back and is done again.
  void give_up(CoordinatorLink& link, TimePoint now);

  // The way down.
  void wind_down(Phase phase, TimePoint now);
  void return_queued(TimePoint now);
  /// Gives back what would wait here for long.
  void return_late(TimePoint now);
  /// Looks for calls that take long, and for such that have exceeded their time.
  void watch_calls(TimePoint now, link::Effects& effects, Work& work);
  void give_up_call(const DeliveryQueue::Overdue& overdue, TimePoint now, link::Effects& effects,
                    Work& work);
  /// Adds the results of these deliveries of an execution. Returns the link of the last, if its
  /// session is still the one that they came from.
  CoordinatorLink* add_results(const Execution& execution, const DeliveryQueue::Range& range,
                               TimePoint now);
  /// Gives back what is in waiting_.
  void give_back(TimePoint now);
  void go_on(TimePoint now, link::Effects& effects, Work& work);
  void leave_running_calls(link::Effects& effects, Work& work);
  void finish(std::string_view reason, int exit_code, TimePoint now, link::Effects& effects);
  bool all_confirmed() const;

  void settle_trial(TimePoint now, link::Effects& effects);
  void advance_trial(TimePoint now, link::Effects& effects, Work& work);
  void set_taps(link::Effects& effects);
  void show_taps(TimePoint now, link::Effects& effects, const Work& work);
  void watch_for_stall(TimePoint now, link::Effects& effects);
  void flush(TimePoint now, link::Effects& effects);
  wire::Window window() const;

  link::Identity self_;
  link::Settings settings_;
  TaskMachineOptions options_;
  Random random_;
  registry::Member member_;

  Phase phase_ = Phase::waiting;
  bool build_wanted_ = false;
  std::string version_;
  std::vector<ServedTask> served_;
  std::vector<TaskId> served_ids_;
  /// By task id; null if it is not served.
  std::vector<TaskStats::Task*> stats_of_;

  std::map<link::ChannelId, std::unique_ptr<CoordinatorLink>> links_;
  std::uint32_t next_channel_ = static_cast<std::uint32_t>(link::kFirstCoordinator);
  DeliveryQueue queue_;
  WindowEstimate estimate_;
  std::string stall_;             ///< What is said of it; empty while nothing is stalled.
  TimePoint deadline_ = kNever;   ///< Of winding down.
  std::size_t hung_threads_ = 0;  ///< Given up, and not come back.
  bool is_crowded_ = false;       ///< So many hang that no more are replaced; said.

  TaskStats stats_;
  Taps taps_;

  /// Finished, but results that are gathered still point into them.
  std::vector<std::unique_ptr<Execution>> unflushed_;
  // Reused.
  std::vector<link::Event> events_;
  std::vector<DeliveryQueue::Refused> refused_;
  std::vector<DeliveryQueue::Waiting> waiting_;
  std::vector<DeliveryQueue::Done> done_;
  std::deque<std::string> reasons_;  ///< Results that are gathered point into them.
};

}  // namespace tempest::task_node
