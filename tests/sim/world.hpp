#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <queue>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "credit_watch.hpp"
#include "host.hpp"
#include "ledger.hpp"
#include "network.hpp"
#include "scenario.hpp"
#include "simulated_redis.hpp"
#include "trace.hpp"

namespace tempest::sim {

/// What a seed's run has come to.
struct Outcome {
  std::string violation;  ///< Empty: every promise was kept.
  std::uint64_t trace_hash = 0;
  Ledger::Counts ledger;
  struct Counts {
    std::uint64_t seeds = 0;
    std::uint64_t steps = 0;
    std::uint64_t crashes = 0;
    std::uint64_t pauses = 0;
    std::uint64_t stops = 0;
    std::uint64_t scalings = 0;
    std::uint64_t partitions = 0;
    std::uint64_t reconnects = 0;
    std::uint64_t redis_faults = 0;
    std::uint64_t frames = 0;
    std::uint64_t frames_lost = 0;
    std::uint64_t frames_doubled = 0;
    std::uint64_t frames_replayed = 0;
    std::uint64_t sightings = 0;
    std::uint64_t simulated_ms = 0;
  };
  Counts counts;
};

/// A whole deployment in one thread, from one seed: a time of faults, then one without, in which
/// everything must drain, then an orderly end.
class World {
 public:
  World(std::uint64_t seed, std::ostream* trace_lines);
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  Outcome run();

  TimePoint now() const { return now_; }
  void at(TimePoint when, std::function<void()> action);
  void after(Duration delay, std::function<void()> action) { at(now_ + delay, std::move(action)); }

  const Scenario& scenario() const { return scenario_; }
  Ledger& ledger() { return ledger_; }
  SimulatedRedis& redis() { return redis_; }
  Network& network() { return network_; }
  Host& host(std::size_t index) { return *hosts_[index]; }
  const std::vector<std::unique_ptr<Host>>& hosts() const { return hosts_; }
  CreditWatch& watch() { return watch_; }
  Random& random() { return random_; }
  bool has_faults() const { return has_faults_; }
  /// There have been no faults for so long that everybody knows everybody.
  bool is_settled() const { return is_settled_; }
  /// Who owns which key slots is certain: nothing is lost, and nobody is away without a word.
  bool watches_slots() const { return watches_slots_; }
  bool hangs_next = false;  ///< The next call of a task by key is to hang.
  /// Sources are to end by themselves once all is done.
  bool ends_by_draining() const { return ends_by_draining_; }
  /// Of the definition that coordinators are started with.
  unsigned version() const { return version_; }
  std::vector<std::string> broker_endpoints() const;

  void violate(std::string_view checker, const std::string& what) {
    ledger_.violate(checker, what);
  }
  Outcome::Counts& counts() { return counts_; }
  Trace& trace() { return trace_; }
  void start_later(Host& host);
  bool has_trace() const { return trace_.has_lines(); }
  void trace_line(std::string_view where, std::string_view what) { trace_.line(now_, where, what); }

 private:
  struct Event {
    TimePoint when;
    std::uint64_t order;
    std::function<void()> action;
  };
  struct Later {
    bool operator()(const Event& left, const Event& right) const {
      return left.when != right.when ? left.when > right.when : left.order > right.order;
    }
  };

  void make_hosts();
  void produce(unsigned count, Duration span);
  bool is_violated() const { return !ledger_.violation().empty(); }
  /// Carries out what is due up to then; ends early on a violation, or when `is_done` says so.
  void run_until(TimePoint until, const std::function<bool()>& is_done);

  // faults.cpp
  void next_fault();
  void commit(FaultKind kind);
  Host* draw_host(bool struck, bool dead_too = false);
  void crash_one();
  void block_two(bool both);
  void strike_redis(FaultKind kind);
  void bring_new_version();
  void scale_one();
  void heal();
  void keep_alive();

  // lasting_faults.cpp
  void cut_for_good();
  void hang_while_slots_move();
  void check_slots();

  bool is_drained() const;
  void drain();
  void check_leftovers();
  void check_connected();
  void end_by_draining();
  void end_nodes();

  Scenario scenario_;
  Trace trace_;
  Random random_;
  Ledger ledger_;
  SimulatedRedis redis_;
  TimePoint now_{};
  std::priority_queue<Event, std::vector<Event>, Later> events_;
  std::uint64_t next_order_ = 0;
  Network network_;
  CreditWatch watch_;
  std::vector<std::unique_ptr<Host>> hosts_;
  Outcome::Counts counts_;
  unsigned version_ = 0;
  TimePoint healed_at_ = kNever;
  bool has_faults_ = false;
  bool is_settled_ = false;
  bool watches_slots_ = false;
  /// By coordinator, task and slot: since when it waits without a cause.
  std::map<std::tuple<std::size_t, TaskId, std::size_t>, TimePoint> idle_slots_;
  bool ends_by_draining_ = false;
  bool is_over_ = false;
};

}  // namespace tempest::sim
