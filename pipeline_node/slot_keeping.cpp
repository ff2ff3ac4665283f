// How a coordinator follows who owns which key slots: the part of PipelineMachine that speaks of
// them with the broker.

#include <algorithm>
#include <utility>

#include "pipeline_node/pipeline_machine.hpp"
#include "tempest/base/quantity.hpp"

namespace tempest::pipeline_node {
namespace {

/// What changes little by little (slots that come free one by one, workers that attach) is reported
/// this often at the most.
constexpr Duration kReportInterval = std::chrono::milliseconds(100);

using Level = link::Notice::Level;

}  // namespace

void PipelineMachine::directory_changed() {
  const registry::Directory& directory = member_.directory();
  roll_call_.list(directory.workers, directory.topology_version == topology_.version);
}

void PipelineMachine::keep_slots(TimePoint now, link::Effects& effects) {
  const bool is_called = roll_call_.turn(now, notices_);
  if (is_called) assign_slots();
  const bool knew_workers = std::exchange(knows_workers_, member_.knows_workers());
  if (knew_workers != knows_workers_) {
    alone_at_ = knows_workers_ ? kNever : now + 2 * settings_.link.lease;
  }
  if (is_called || knew_workers != knows_workers_ || now >= alone_at_) heed_other_coordinators(now);
  const bool have_changed = scheduler_.update_strays();
  if (is_called || have_changed) is_report_due_ = true;
  const bool is_urgent = slot_workers_revision_ != member_.slot_report().slots_revision ||
                         (have_changed && !scheduler_.has_strays());
  if (is_report_due_ && (is_urgent || now >= report_after_)) report_slots(now, effects);
  watch_strays(now);
  if (is_called && !draining_ && member_.registration().state != state()) {
    show_state(state(), now, effects);
  }
}

void PipelineMachine::assign_slots() {
  auto workers = roll_call_.workers();
  const std::uint64_t revision = member_.directory().slots_revision;
  if (workers == slot_workers_ && revision == slot_workers_revision_) return;
  slot_workers_ = std::move(workers);
  slot_workers_revision_ = revision;
  scheduler_.set_directory(slot_workers_, revision);
}

void PipelineMachine::heed_other_coordinators(TimePoint now) {
  const registry::Directory& directory = member_.directory();
  const bool has_others =
      std::any_of(directory.coordinators.begin(), directory.coordinators.end(),
                  [this](const auto& coordinator) { return coordinator.name != self_.name; });
  const bool is_cut_off = now >= alone_at_;
  if (is_cut_off) alone_at_ = kNever;
  is_alone_ = !knows_workers_ && (is_alone_ || is_cut_off);
  if (is_cut_off && has_others) {
    notices_.push_back({Level::warning,
                        "no broker has said for " + format_duration(2 * settings_.link.lease) +
                            " what other coordinators have in flight: key slots that move do not "
                            "wait for them until one does",
                        {}});
  }
  const bool waits_for_others = has_others && !is_alone_;
  scheduler_.set_settled(waits_for_others ? directory.slots_settled : UINT64_MAX);
  std::vector<tracking::SlotSet> held(topology_.graph.task_count());
  for (const registry::Directory::Held& one : directory.held) {
    const TaskId task = topology_.graph.find(one.task);
    if (task == kNoTask || !waits_for_others || one.coordinator == self_.name) continue;
    held[static_cast<std::size_t>(task)] |= tracking::slot_set_of(one.slots);
  }
  for (std::size_t i = 0; i < held.size(); ++i) {
    scheduler_.set_held(TaskId{static_cast<std::uint16_t>(i)}, held[i]);
  }
}

void PipelineMachine::report_slots(TimePoint now, link::Effects& effects) {
  is_report_due_ = false;
  report_after_ = now + kReportInterval;
  registry::SlotReport report;
  report.slots_revision = slot_workers_revision_;
  for (const TaskId task : topology_.graph.topological_order()) {
    const tracking::SlotSet& strays = scheduler_.strays(task);
    if (strays.none()) continue;
    report.held.push_back({topology_.graph.node(task).name, tracking::bytes_of(strays)});
  }
  roll_call_.fill(report);
  member_.report_slots(std::move(report), now, effects);
}

/// A call that was begun before its slot moved may take as long as its timeouts allow. What waits
/// for it is said once.
void PipelineMachine::watch_strays(TimePoint now) {
  if (!scheduler_.has_strays()) {
    if (std::exchange(strays_said_, false)) {
      notices_.push_back({Level::info, "no key slot waits for the worker that had it before", {}});
    }
    strayed_since_ = kNever;
    return;
  }
  if (strayed_since_ == kNever) strayed_since_ = now;
  if (strays_said_ || now - strayed_since_ < settings_.link.lease) return;
  strays_said_ = true;
  for (const TaskId task : topology_.graph.topological_order()) {
    const tracking::SlotSet& strays = scheduler_.strays(task);
    if (strays.none()) continue;
    notices_.push_back({Level::warning,
                        "key slots that have moved wait for calls at the worker that had them "
                        "before: their timeouts say for how long",
                        {{"task", topology_.graph.node(task).name},
                         {"worker", scheduler_.stray_worker(task)},
                         {"slots", strays.count()}}});
  }
}

TimePoint PipelineMachine::next_slot_turn() const {
  TimePoint next = std::min(roll_call_.next_turn(), alone_at_);
  if (is_report_due_) next = std::min(next, report_after_);
  if (strayed_since_ != kNever && !strays_said_) {
    next = std::min(next, strayed_since_ + settings_.link.lease);
  }
  return next;
}

std::string PipelineMachine::describe_slot_wait(TaskId task) const {
  using Cause = tracking::Scheduler::SlotWait::Cause;
  const tracking::Scheduler::SlotWait wait = scheduler_.slot_wait(task);
  const std::string slots = "key slots of task '" + topology_.graph.node(task).name + "'";
  switch (wait.cause) {
    case Cause::no_owner:
      return "no worker that serves task '" + topology_.graph.node(task).name + "' is listed";
    case Cause::not_attached:
      return slots + " wait for worker '" + wait.owner + "', which has not attached here";
    case Cause::strayed:
      return slots + " have moved and wait for calls at worker '" + wait.at + "'";
    case Cause::held:
      return slots + " have moved and wait for another coordinator's calls, or for the broker";
    case Cause::none:
    case Cause::busy:
      break;
  }
  return "the workers of task '" + topology_.graph.node(task).name + "' do not answer";
}

}  // namespace tempest::pipeline_node
