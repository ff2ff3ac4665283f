#include "cli/supervisor.hpp"

#include <algorithm>

#include "tempest/runtime/exit_code.hpp"

namespace tempest::cli {

namespace {

/// Starting it again would end the same way.
bool is_hopeless(int exit_code) {
  return exit_code == runtime::kExitUsage || exit_code == runtime::kExitConfiguration;
}

}  // namespace

Supervisor::Supervisor(const std::vector<Child>& children, const Settings& settings)
    : settings_(settings) {
  for (const Child& child : children) {
    Supervised supervised;
    supervised.is_main = child.is_main;
    supervised.wait = settings_.restart_initial;
    children_.push_back(supervised);
  }
}

void Supervisor::start(TimePoint now, std::vector<Action>& actions) {
  for (std::size_t i = 0; i < children_.size(); ++i) run(i, now, actions);
}

void Supervisor::run(std::size_t child, TimePoint now, std::vector<Action>& actions) {
  children_[child].state = State::running;
  children_[child].started_at = now;
  actions.push_back({ActionKind::start, child});
}

void Supervisor::exited(std::size_t index, int exit_code, TimePoint now,
                        std::vector<Action>& actions, bool has_lost_work) {
  Supervised& child = children_[index];
  if (stopping_) {
    child.state = State::ended;
    if (child.is_main) {
      if (exit_code_ == 0) exit_code_ = exit_code;
      end_others(now, actions);
    }
    return;
  }
  const bool is_lost = has_lost_work && exit_code != 0;
  if (is_lost || is_hopeless(exit_code) || (child.is_main && exit_code == 0)) {
    child.state = State::ended;
    exit_code_ = is_lost ? int{runtime::kExitCheckFailed} : exit_code;
    stopping_ = true;
    if (child.is_main) {
      end_others(now, actions);
    } else {
      end_main(now, actions);
    }
    return;
  }
  if (now - child.started_at >= settings_.steady_after) child.wait = settings_.restart_initial;
  child.state = State::waiting;
  child.start_at = now + child.wait;
  child.wait = std::min(child.wait * 2, settings_.restart_max);
}

void Supervisor::stop(bool at_once, TimePoint now, std::vector<Action>& actions) {
  if (!stopping_) {
    stopping_ = true;
    end_main(now, actions);
  }
  if (!at_once) return;
  for (std::size_t i = 0; i < children_.size(); ++i) {
    end(i, now, actions);
    if (children_[i].state == State::running) actions.push_back({ActionKind::kill, i});
  }
}

void Supervisor::end(std::size_t index, TimePoint now, std::vector<Action>& actions) {
  Supervised& child = children_[index];
  if (child.state == State::waiting) child.state = State::ended;
  if (child.state != State::running || child.kill_at != kNever) return;
  child.kill_at = now + settings_.stop_timeout;
  actions.push_back({ActionKind::terminate, index});
}

void Supervisor::end_main(TimePoint now, std::vector<Action>& actions) {
  bool main_runs = false;
  for (std::size_t i = 0; i < children_.size(); ++i) {
    if (!children_[i].is_main) continue;
    end(i, now, actions);
    main_runs = children_[i].state == State::running;
  }
  if (!main_runs) end_others(now, actions);
}

void Supervisor::end_others(TimePoint now, std::vector<Action>& actions) {
  for (std::size_t i = 0; i < children_.size(); ++i) end(i, now, actions);
}

void Supervisor::turn(TimePoint now, std::vector<Action>& actions) {
  for (std::size_t i = 0; i < children_.size(); ++i) {
    Supervised& child = children_[i];
    if (child.state == State::waiting && child.start_at <= now) {
      ++restarts_;
      run(i, now, actions);
    }
    if (child.state == State::running && child.kill_at <= now) {
      child.kill_at = now + settings_.stop_timeout;
      actions.push_back({ActionKind::kill, i});
    }
  }
}

TimePoint Supervisor::next_turn() const {
  TimePoint next = kNever;
  for (const Supervised& child : children_) {
    if (child.state == State::waiting) next = std::min(next, child.start_at);
    if (child.state == State::running) next = std::min(next, child.kill_at);
  }
  return next;
}

bool Supervisor::finished() const {
  return std::all_of(children_.begin(), children_.end(),
                     [](const Supervised& child) { return child.state == State::ended; });
}

}  // namespace tempest::cli
