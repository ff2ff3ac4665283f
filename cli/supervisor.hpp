#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "tempest/base/time.hpp"

namespace tempest::cli {

/// Decides which of a topology's processes run: starts all, starts again what dies, and ends when
/// the main one (the source) does. Pure: the shell (up.cpp) starts and signals processes.
///
///     all run -- main ends, or somebody cannot be configured, or a stop --> the main one is ended
///             --> then all others are --> finished
class Supervisor {
 public:
  struct Child {
    std::string name;
    bool is_main = false;  ///< Exactly one is. Its end is everybody's.
  };
  struct Settings {
    Duration restart_initial = std::chrono::milliseconds(100);
    Duration restart_max = std::chrono::seconds(5);
    /// Whoever ran this long is started again as if for the first time.
    Duration steady_after = std::chrono::seconds(10);
    /// How long a child may take to end before it is killed.
    Duration stop_timeout = std::chrono::seconds(10);
  };
  enum class ActionKind { start, terminate, kill };
  struct Action {
    ActionKind kind{};
    std::size_t child = 0;
  };

  Supervisor(const std::vector<Child>& children, const Settings& settings);

  void start(TimePoint now, std::vector<Action>& actions);
  /// A child has ended: its exit code, or 128 and the signal's number. What has lost work that
  /// nothing can bring back is not started again: all ends, with 1.
  void exited(std::size_t child, int exit_code, TimePoint now, std::vector<Action>& actions,
              bool has_lost_work = false);
  void stop(bool at_once, TimePoint now, std::vector<Action>& actions);
  /// What time makes due.
  void turn(TimePoint now, std::vector<Action>& actions);
  TimePoint next_turn() const;

  bool finished() const;
  /// 0, or why it ended: a child's code that no restart would mend.
  int exit_code() const { return exit_code_; }
  std::size_t restarts() const { return restarts_; }

 private:
  enum class State { waiting, running, ended };
  struct Supervised {
    bool is_main = false;
    State state = State::waiting;
    TimePoint started_at{};
    TimePoint start_at{};
    TimePoint kill_at = kNever;
    Duration wait{0};
  };

  void run(std::size_t child, TimePoint now, std::vector<Action>& actions);
  void end(std::size_t child, TimePoint now, std::vector<Action>& actions);
  void end_main(TimePoint now, std::vector<Action>& actions);
  void end_others(TimePoint now, std::vector<Action>& actions);

  Settings settings_;
  std::vector<Supervised> children_;
  bool stopping_ = false;
  int exit_code_ = 0;
  std::size_t restarts_ = 0;
};

}  // namespace tempest::cli
