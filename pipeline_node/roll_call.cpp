#include "pipeline_node/roll_call.hpp"

#include <algorithm>
#include <utility>

#include "tempest/base/quantity.hpp"

namespace tempest::pipeline_node {

void RollCall::list(const std::vector<registry::Directory::Worker>& workers, bool is_ours) {
  has_changed_ = true;
  for (auto& [name, worker] : workers_) worker.is_listed = false;
  for (const registry::Directory::Worker& listed : workers) {
    Worker& worker = workers_[listed.name];
    // Another life of it has its own time to attach.
    if (worker.incarnation != listed.incarnation) worker.stage = Stage::fine;
    worker.is_listed = true;
    worker.incarnation = listed.incarnation;
    worker.absences = listed.absences;
    worker.listed_tasks.clear();
    for (const std::string& name : listed.tasks) {
      const TaskId task = is_ours ? graph_.find(name) : kNoTask;
      if (task != kNoTask) worker.listed_tasks.push_back(task);
    }
  }
  std::erase_if(workers_, [](const auto& entry) {
    return !entry.second.is_listed && !entry.second.is_attached;
  });
}

void RollCall::attach(const std::string& name, Incarnation incarnation, std::vector<TaskId> tasks) {
  has_changed_ = true;
  Worker& worker = workers_[name];
  worker.is_attached = true;
  // A worker says what it serves: it may name what this topology does not have.
  std::erase_if(
      tasks, [this](TaskId task) { return static_cast<std::size_t>(task) >= graph_.task_count(); });
  worker.attached_tasks = std::move(tasks);
  if (!worker.is_listed) worker.incarnation = incarnation;
}

void RollCall::detach(std::string_view name) {
  const auto found = workers_.find(name);
  if (found == workers_.end()) return;
  has_changed_ = true;
  found->second.is_attached = false;
  if (!found->second.is_listed) workers_.erase(found);
}

bool RollCall::turn(TimePoint now, std::vector<link::Notice>& notices) {
  if (!has_changed_ && now < next_turn_) return false;
  has_changed_ = false;
  next_turn_ = kNever;
  for (auto& [name, worker] : workers_) {
    next_turn_ = std::min(next_turn_, look_at(name, worker, now, notices));
  }
  return true;
}

TimePoint RollCall::look_at(const std::string& name, Worker& worker, TimePoint now,
                            std::vector<link::Notice>& notices) {
  using Level = link::Notice::Level;
  const bool is_missing = worker.is_missing();
  if (!is_missing && (worker.is_listed || !worker.is_attached)) {
    if (worker.stage >= Stage::missed && worker.is_attached) {
      notices.push_back({Level::info, "a worker that was missed is attached", {{"worker", name}}});
    }
    worker.stage = Stage::fine;
    return kNever;
  }
  if (worker.stage == Stage::fine) {
    worker.stage = Stage::differs;
    worker.since = now;
  }
  if (worker.stage == Stage::differs && is_missing && now - worker.since >= patience_) {
    worker.stage = Stage::missed;
    notices.push_back(
        {Level::warning,
         std::string("a worker that the broker lists has not attached here for ") +
             format_duration(patience_) +
             (has_keyed(worker) ? ": its key slots go to others" : ": it gets no work from here") +
             "; look whether it reaches this coordinator's endpoint",
         {{"worker", name}, {"task", graph_.node(worker.tasks().front()).name}}});
  }
  if (worker.stage != Stage::overdue && now - worker.since >= 2 * patience_) {
    worker.stage = Stage::overdue;
    if (!is_missing && has_keyed(worker)) {
      notices.push_back({Level::warning,
                         "a worker is attached here that no broker lists: it gets its share of key "
                         "slots from this coordinator",
                         {{"worker", name}}});
    }
  }
  if (worker.stage == Stage::overdue) return kNever;
  return worker.since + (worker.stage == Stage::missed || !is_missing ? 2 : 1) * patience_;
}

bool RollCall::has_keyed(const Worker& worker) const {
  return std::any_of(worker.tasks().begin(), worker.tasks().end(), [this](TaskId task) {
    return graph_.node(task).grouping == dag::Grouping::key;
  });
}

std::vector<tracking::Scheduler::DirectoryWorker> RollCall::workers() const {
  using Presence = tracking::Scheduler::DirectoryWorker::Presence;
  const bool any_given_up = std::any_of(workers_.begin(), workers_.end(), [](const auto& entry) {
    return entry.second.is_missing() && entry.second.stage == Stage::overdue;
  });
  std::vector<tracking::Scheduler::DirectoryWorker> workers;
  for (const auto& [name, worker] : workers_) {
    if (!worker.is_listed && worker.stage != Stage::overdue) continue;
    Presence presence = Presence::expected;
    if (any_given_up && worker.is_attached) presence = Presence::here;
    if (worker.is_missing() && worker.stage == Stage::overdue) presence = Presence::given_up;
    workers.push_back({name, worker.tasks(), worker.is_listed ? worker.absences : 0, presence});
  }
  return workers;
}

void RollCall::fill(registry::SlotReport& report) const {
  for (const auto& [name, worker] : workers_) {
    if (worker.is_attached) {
      registry::Directory::Worker& attached = report.attached.emplace_back();
      attached.name = name;
      attached.incarnation = worker.incarnation;
      for (const TaskId task : worker.attached_tasks)
        attached.tasks.push_back(graph_.node(task).name);
    } else if (worker.stage >= Stage::missed) {
      report.missing.push_back({name, worker.incarnation});
    }
  }
}

std::string RollCall::describe() const {
  for (const auto& [name, worker] : workers_) {
    if (!worker.is_missing() || worker.stage < Stage::missed) continue;
    return "worker '" + name + "' serves task '" + graph_.node(worker.tasks().front()).name +
           "' and has not attached here";
  }
  return {};
}

}  // namespace tempest::pipeline_node
