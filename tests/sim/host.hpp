#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "stutter.hpp"
#include "tempest/base/ids.hpp"
#include "tempest/base/random.hpp"
#include "tempest/base/time.hpp"
#include "tempest/link/node.hpp"
#include "tempest/tracking/scheduler.hpp"

namespace tempest::sim {

class World;
class Host;

/// A node's machine with its I/O simulated, in one life of it: what runtime::Node is to NodeLoop.
class Shell {
 public:
  virtual ~Shell() = default;
  virtual void start(TimePoint now, link::Effects& effects) = 0;
  virtual void receive(const link::FrameReceived& received, TimePoint now,
                       link::Effects& effects) = 0;
  virtual void woken(TimePoint /*now*/, link::Effects& /*effects*/) {}
  virtual void turn(TimePoint now, link::Effects& effects) = 0;
  /// The effects have been carried out: what was asked of threads begins.
  virtual void submit() {}
  virtual TimePoint next_turn() const = 0;
  virtual void stop(bool at_once, TimePoint now, link::Effects& effects) = 0;

  /// After every step: bounds, in words if one does not hold.
  virtual std::string check() const { return {}; }
  /// Of a coordinator.
  virtual const tracking::Scheduler* scheduler() const { return nullptr; }
  /// Nothing is under way here.
  virtual bool is_idle() const { return true; }
  /// At the end, when everything has drained: what is still there, in words.
  virtual std::string leftovers() const { return {}; }
};

/// A place where one node runs, life after life: its clock, its loop (runtime/node_loop.cpp), its
/// process's deaths and pauses.
class Host {
 public:
  using MakeShell = std::function<std::unique_ptr<Shell>(Host&)>;

  /// Of those of its role it is the `number`-th.
  Host(World& world, std::size_t index, Role role, unsigned number, double drift,
       MakeShell make_shell);

  std::size_t index() const { return index_; }
  Role role() const { return role_; }
  unsigned number() const { return number_; }
  const std::string& name() const { return name_; }
  const Incarnation& incarnation() const { return incarnation_; }
  std::uint64_t life() const { return life_; }
  /// Where its ROUTER is, if it has one; another in each life, if it is to move.
  const std::string& endpoint() const { return endpoint_; }
  void listen_at(std::string endpoint) { endpoint_ = std::move(endpoint); }

  bool is_alive() const { return shell_ != nullptr; }
  bool is_paused() const;
  bool is_stopping() const { return stop_asked_; }
  Shell* shell() const { return shell_.get(); }

  void start();
  /// At some boundary of a step to come, after so many more.
  void crash_soon(unsigned steps, unsigned boundary, double share);
  void crash();
  void pause(TimePoint until);
  void stop(bool at_once);
  /// No crash that was to come does.
  void calm_down() { crash_.reset(); }

  void arrive(link::ChannelId channel, std::string routing_id, SharedBytes frame);
  /// One of its threads has put something into a mailbox.
  void wake();
  /// Once this time has come, and the process is not paused, and if it is the same life still.
  void later(Duration delay, std::function<void()> action);

  TimePoint local(TimePoint time) const;
  TimePoint local_now() const;
  /// Runs user code, or I/O, in this host's surroundings.
  void inside(const std::function<void()>& call);

  bool reaches_redis = true;
  /// False: it is not to be started (again).
  bool is_wanted = true;

 private:
  struct Arrived {
    link::ChannelId channel{};
    std::string routing_id;
    SharedBytes frame;
  };
  struct Crash {
    unsigned steps = 0;
    unsigned boundary = 0;
    double share = 0;
  };

  void schedule(TimePoint when);
  void on_wake();
  void step();
  bool dies_at(unsigned boundary);
  /// Of so many of the frames that are to be sent.
  void tell_watch(std::size_t sends);
  void carry_out(std::size_t most_sends);
  void schedule_next();
  void end();
  TimePoint world_time(TimePoint local) const;

  World& world_;
  std::size_t index_;
  Role role_;
  unsigned number_;
  std::string name_;
  std::int64_t drift_ppm_;
  Duration offset_;
  MakeShell make_shell_;
  std::string endpoint_;

  std::uint64_t life_ = 0;
  Incarnation incarnation_;
  std::unique_ptr<Shell> shell_;
  std::vector<Arrived> inbox_;
  std::vector<Arrived> taken_;
  link::Effects effects_;
  std::size_t watched_sends_ = 0;  ///< Of these, how many the watch knows of.
  TimePoint wake_at_ = kNever;
  TimePoint paused_until_{};
  std::optional<Crash> crash_;
  Stutter stutter_;
  bool woken_ = false;
  bool stop_wanted_ = false;
  bool stop_at_once_ = false;
  bool stop_asked_ = false;
  unsigned spins_ = 0;
};

}  // namespace tempest::sim
