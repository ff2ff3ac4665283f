#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tempest/base/random.hpp"
#include "tempest/base/time.hpp"
#include "tempest/link/link.hpp"
#include "tempest/topology.hpp"
#include "tempest/tracking/scheduler.hpp"

namespace tempest::sim {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// What a fault does. Each seed draws which of them happen in it, and how often.
enum class FaultKind : std::uint8_t {
  crash,        ///< A node's process dies at some boundary of a step, and is started again.
  pause,        ///< A process stops for half to three leases, and goes on.
  stop,         ///< A node is asked to end, does so, and is started again.
  one_way,      ///< Frames from one node to another do not get through for a while.
  two_way,      ///< Nor those the other way.
  reconnect,    ///< A connection is made anew: what was in its pipes may be lost.
  replay,       ///< A frame from before comes once more.
  garbage,      ///< Bytes that are no frame.
  redis_away,   ///< Redis does not answer for a while.
  redis_start,  ///< Redis is started again: connections break, no data is lost.
  redis_cut,    ///< One node does not reach Redis for a while.
  new_version,  ///< The coordinators are started again with another version of the topology.
  scale,        ///< A worker or coordinator is started besides the others, or ends for good.
};
inline constexpr std::size_t kFaultKinds = 13;
const char* to_string(FaultKind kind);

/// A line that stays cut when all other faults are over, between a worker and others.
enum class LastingCut : std::uint8_t {
  none,
  from_brokers,
  from_coordinators,
  from_one_coordinator
};

/// How a task of this seed's topology behaves.
struct TaskShape {
  bool is_sink = false;  ///< The built-in task `sink`, writing to the stream "out.<task>".
  double filtered = 0;   ///< Shares of the messages: what becomes of each is a hash of it.
  double sick = 0;       ///< Fails at each attempt, with an error of kind retry.
  double throwing = 0;   ///< The same by an exception.
  double bad = 0;        ///< Fails for good.
  double lethal = 0;     ///< Kills the worker that handles it.
  double flaky = 0;      ///< Of the attempts, while there are faults: an error of kind retry.
  double pausing = 0;    ///< The same with a time given: no attempt.
  unsigned most_outputs = 1;
  Duration handle_time{};
  double slow = 0;  ///< Of the attempts, while there are faults: takes this much longer.
  Duration slow_time{};
};

/// The failure handler of some seeds has messages tried so often as a whole.
inline constexpr std::uint32_t kHandledAttempts = 3;

/// Everything that a seed decides: the topology, the deployment, the load, and the faults.
struct Scenario {
  explicit Scenario(std::uint64_t seed);

  std::uint64_t seed;
  /// Draws of the run; those of the scenario itself are over.
  Random random;

  /// The definition; another `version` differs in a comment alone.
  std::string topology_text(unsigned version) const;
  Topology topology;
  std::vector<TaskShape> shapes;  ///< By task.

  unsigned brokers = 1;
  unsigned sources = 1;
  unsigned coordinators = 1;
  unsigned workers = 1;
  /// Started in the course of it, if at all.
  unsigned spare_coordinators = 0;
  unsigned spare_workers = 0;
  std::vector<unsigned> threads;                ///< By worker.
  std::vector<std::vector<std::string>> tasks;  ///< By worker; empty: all.
  bool fuses = false;                           ///< Every edge that can be.
  bool handles_failures = false;                ///< A failure handler has some tried again.
  bool moves_endpoint = false;                  ///< Restarted coordinators bind another port.
  std::uint64_t worker_window_bytes = 16ULL << 20;
  std::uint64_t source_window = 65'536;
  tracking::QueueLimits queue_limits;
  std::size_t min_workers = 1;
  link::Settings link;
  Duration drain_timeout{};

  unsigned messages = 0;
  /// Produced besides, at once, when there are no more faults and everybody has had time to meet.
  unsigned late_messages = 0;
  unsigned keys = 0;  ///< 0: messages have none.
  Duration production{};
  Duration fault_phase{};

  bool is_calm = false;  ///< No faults at all.
  bool is_wild = false;  ///< The network reorders, doubles and drops single frames too.
  /// What kills a worker is in its messages, in this seed: no other fault does.
  bool loses_workers_to_messages_only = false;
  /// Quick calls in large batches, of which some take longer than any timeout of a message.
  bool hangs_in_batches = false;
  /// Processes stand still in the midst of calls, for longer than those may take.
  bool stands_at_work = false;
  bool stutters = false;  ///< Workers answer more than once.
  /// While there are faults no dead letter can be written; many messages fail, with long reasons.
  bool keeps_letters_away = false;
  bool keeps_key_order = false;  ///< Nothing that may break it: it is checked.
  LastingCut lasting_cut = LastingCut::none;
  unsigned cut_worker = 0;
  /// When all is quiet a worker goes, a call of a keyed task hangs, and the worker comes back.
  bool hangs_while_slots_move = false;
  double weights[kFaultKinds] = {};
  Duration fault_interval{};
  /// Crashes, pauses and stops are of these roles only: 1 << role.
  unsigned struck_roles = 0;
  double lost_reply = 0;   ///< Of exchanges with Redis: some commands are carried out, the
                           ///< connection breaks before all replies have come.
  double error_reply = 0;  ///< Of commands: "OOM" or the like.
  Duration latency{};
  Duration jitter{};
  double drift = 0;  ///< The most by which a node's clock runs fast or slow.

  /// Operators trace messages and tap a task all the while: nothing else is to be different.
  bool is_watched = false;

  /// Whether the worker serves the task.
  bool serves(unsigned worker, const std::string& task) const;
  /// A message may come to be left unacked for good.
  bool leaves() const {
    return topology.failure.policy == FailurePolicy::none ||
           (topology.failure.policy == FailurePolicy::retry && !topology.failure.dead_letter);
  }
  /// ... and what kills one is known to be the only thing that it had: with several coordinators
  /// each knows only what it has given itself.
  bool dies_of_messages_alone() const {
    return loses_workers_to_messages_only && coordinators + spare_coordinators == 1;
  }
  // Not drawn, so that seeds stay what they were.
  /// A start of Redis is a failover to a replica that has what was there at the fault before.
  bool fails_over() const { return seed % 4 == 2; }
  /// Entries that are pending are deleted at times.
  bool trims_pending() const { return seed % 8 == 3; }
  /// At the end sources are started that are to end by themselves once all is done.
  bool ends_by_draining() const { return seed % 3 == 0; }
  /// All of it, for people.
  std::string describe() const;
  /// Once there are no faults: until everybody is there, and connected to all.
  Duration settling_time() const;
  /// How long everything may take to drain once there are no faults.
  Duration drain_bound() const;

 private:
  void draw_topology();
  void draw_task(std::size_t index, std::string& text);
  void draw_failure();
  void draw_deployment();
  void draw_load();
  void draw_faults();
  void choose_lasting_faults();

  bool chance(double share) { return random.fraction() < share; }
  Duration between(Duration least, Duration most);

  std::string text_;
  std::size_t task_count_ = 0;
  bool is_keyed_root_ = false;
};

}  // namespace tempest::sim
