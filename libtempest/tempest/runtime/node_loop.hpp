#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "tempest/base/result.hpp"
#include "tempest/base/time.hpp"
#include "tempest/link/node.hpp"
#include "tempest/wire/frames.hpp"

namespace tempest::runtime {

class LoopMember;  // runtime/loop_member.hpp
class Transport;   // runtime/transport.hpp

/// A call of a user's code, to be made by one thread only: the one that the code's instances belong
/// to. Where it is brief, that thread drives the loop as well (runtime/leadership.hpp), so that
/// nobody has to be woken between what comes in, the call, and what goes out.
class Call {
 public:
  /// What is expected to take longer is worth waking another thread for, so that the loop goes on
  /// meanwhile.
  static constexpr Duration kBrief = std::chrono::microseconds(30);

  virtual ~Call() = default;

  /// It is expected to take no longer than to wake a thread.
  virtual bool is_brief() const = 0;
  /// Its thread has nothing else to do.
  virtual bool is_thread_free() const = 0;
  /// Makes it, in its thread. Does not throw, and touches nothing of the node's but what is meant
  /// for that thread.
  virtual void make() = 0;
  /// Has its thread make it, and then do this, if there is something. From any other thread.
  virtual void send(std::function<void()> then) = 0;
};

/// What a NodeLoop drives: a role's shell, which hands everything to its machine. All calls come
/// from the thread that drives the loop, one at a time.
class Node {
 public:
  virtual ~Node() = default;

  /// Once, before the first event.
  virtual void start(TimePoint now, link::Effects& effects) = 0;
  virtual void receive(const link::FrameReceived& received, TimePoint now,
                       link::Effects& effects) = 0;
  /// Somebody called NodeLoop::wake(): look into your mailboxes.
  virtual void woken(TimePoint /*now*/, link::Effects& /*effects*/) {}
  /// Everything that could be read has been: send what was gathered, look at the timers.
  virtual void turn(TimePoint now, link::Effects& effects) = 0;
  /// Not later than this, turn() again.
  virtual TimePoint next_turn() const = 0;
  /// What is to be called now, after a turn's effects have been carried out; nothing if there is
  /// nothing more. All of a node's calls are of one thread.
  virtual std::unique_ptr<Call> take_call() { return nullptr; }
  /// The thread of the calls has something else to do than to drive the loop.
  virtual bool is_call_thread_wanted() const { return false; }
  /// A signal or the program asks for an end: drain, then set effects.finished. `at_once`: now.
  virtual void stop(bool at_once, TimePoint now, link::Effects& effects) = 0;

  /// Published once a second on the stats bus.
  virtual void report(TimePoint now, wire::StatsReport& report) const = 0;
};

struct NodeLoopOptions {
  std::string node_name;  ///< In the log, and in the topic of its statistics.
  std::string
      routing_id;  ///< Of this node's DEALERs: "name#incarnation", to which each adds its channel.
  /// Where the ROUTER binds; empty: the node has none.
  std::string bind;
  /// The brokers' stats-in endpoints; empty: statistics are not published.
  std::vector<std::string> stats_endpoints;
  Duration stats_interval = std::chrono::seconds(1);
};

/// The loop around one node: waits on its sockets, a wake-up and the next timer, feeds
/// what came in to the node, and carries out the effects. The only place where a node's sockets
/// are touched.
class NodeLoop {
 public:
  NodeLoop(Transport& transport, NodeLoopOptions options);
  ~NodeLoop();
  NodeLoop(const NodeLoop&) = delete;
  NodeLoop& operator=(const NodeLoop&) = delete;

  /// Binds the ROUTER, if there is one to bind.
  Result<void> bind();
  /// Where it is bound ("tcp://0.0.0.0:40123"), after bind().
  const std::string& bound_endpoint() const;

  /// Runs until the node has finished; returns its exit code. From one thread, once.
  int run(Node& node);
  /// The same for several nodes of one process by this thread, so that what they send each other
  /// wakes nobody, until all have finished. `on_end` is told as each does. All outlive the call.
  static void run_together(std::span<const std::pair<NodeLoop*, Node*>> loops,
                           const std::function<void(std::size_t index, int exit_code)>& on_end);

  /// Makes the loop call Node::woken(). From any thread, at any time; cheap when one is pending.
  void wake();
  /// Makes the loop call Node::stop(). From any thread, or from a signal handler. A second request
  /// is always one to stop at once.
  void request_stop(bool at_once);

 private:
  std::unique_ptr<LoopMember> member_;
};

}  // namespace tempest::runtime
