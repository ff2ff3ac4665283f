#include "task_node/task_machine.hpp"

#include <algorithm>
#include <utility>

#include "tempest/base/quantity.hpp"

namespace tempest::task_node {
namespace {

using Level = link::Notice::Level;
using Status = wire::Results::Status;

// As runtime/exit_code.hpp has it, which a machine does not include.
constexpr int kExitOk = 0;

/// Threads that may hang, each in a call that was given up, before no more are put in their place:
/// each keeps its stack and its instances.
constexpr std::size_t kMostHungThreads = 16;
/// What takes less is not worth telling the coordinator, which adds it up for a message's timeout.
constexpr Duration kCountedCall = std::chrono::milliseconds(5);

std::uint32_t whole_us(Duration time) {
  const auto us = time / std::chrono::microseconds(1);
  return static_cast<std::uint32_t>(std::min<std::int64_t>(us, UINT32_MAX));
}

}  // namespace

TaskMachine::TaskMachine(link::Identity self, std::vector<std::string> brokers,
                         const link::Settings& settings, TaskMachineOptions options,
                         std::uint64_t seed)
    : self_(self),
      settings_(settings),
      options_(options),
      random_(seed),
      member_(std::move(self), std::move(brokers), settings, random_.next()),
      queue_(options.threads),
      estimate_(options.threads),
      taps_(self_) {}

void TaskMachine::start(TimePoint now, link::Effects& effects) {
  member_.start(now, effects);
  register_node(now, effects);
}

// --- What the links say ------------------------------------------------------------------------

CoordinatorLink* TaskMachine::find(link::ChannelId channel) {
  const auto found = links_.find(channel);
  return found == links_.end() ? nullptr : found->second.get();
}

void TaskMachine::receive(const link::FrameReceived& received, TimePoint now,
                          link::Effects& effects) {
  if (member_.owns(received.channel)) {
    if (member_.receive(received.channel, received.frame.view(), now, effects)) {
      heed_directory(now, effects);
    }
    return;
  }
  CoordinatorLink* link = find(received.channel);
  if (link == nullptr) return;
  link->receive(received.frame.view(), now);
  take_events(*link, received.frame, now, effects);
}

void TaskMachine::take_events(CoordinatorLink& link, const SharedBytes& frame, TimePoint now,
                              link::Effects& effects) {
  link.take_events(events_);
  // By place: to give the session up for what came in it adds an event.
  for (std::size_t i = 0; i < events_.size(); ++i) {
    const link::Event event = events_[i];
    switch (event.kind) {
      case link::Event::Kind::up:
        came_up(link, now, effects);
        break;
      case link::Event::Kind::body:
        take_body(link, event, frame, now, effects);
        break;
      case link::Event::Kind::lost:
        lost(link, event.reason, effects);
        break;
      case link::Event::Kind::refused:
        effects.notify(
            Level::warning,
            "no session with a coordinator: " + *event.text +
                "; asking again by what the directory says",
            {{"coordinator", link.coordinator().name}, {"endpoint", link.coordinator().endpoint}});
        break;
    }
  }
  link.take_frames(effects);
}

void TaskMachine::came_up(CoordinatorLink& link, TimePoint now, link::Effects& effects) {
  link.begin_session();
  // A coordinator to which this worker has not attached sends it nothing.
  if (phase_ != Phase::serving) return;
  link.attach(version_, served_ids_, window(), now);
  effects.notify(Level::info, "attached to a coordinator",
                 {{"coordinator", link.coordinator().name}});
}

void TaskMachine::lost(CoordinatorLink& link, link::LostReason reason, link::Effects& effects) {
  const std::size_t queued = queue_.drop(link.session());
  stats_.dropped_deliveries += queued;
  stats_.late_results += link.drop_results();
  ++stats_.coordinators_lost;
  const bool orderly = reason == link::LostReason::left || reason == link::LostReason::closed;
  effects.notify(orderly ? Level::info : Level::warning, "a coordinator is gone",
                 {{"coordinator", link.coordinator().name},
                  {"reason", link::to_string(reason)},
                  {"dropped", queued}});
}

void TaskMachine::take_body(CoordinatorLink& link, const link::Event& event,
                            const SharedBytes& frame, TimePoint now, link::Effects& effects) {
  if (event.body_kind != wire::BodyKind::deliveries) {
    ++stats_.malformed_bodies;
    effects.notify(Level::warning, "a coordinator sent what a worker has no use for",
                   {{"coordinator", link.coordinator().name}});
    give_up(link, now);
    return;
  }
  refused_.clear();
  if (auto accepted = queue_.accept(link.session(), frame, event.body, now, refused_); !accepted) {
    ++stats_.malformed_bodies;
    effects.notify(Level::warning, "a coordinator sent deliveries that cannot be read",
                   {{"coordinator", link.coordinator().name}, {"error", accepted.error().message}});
    give_up(link, now);
    return;
  }
  if (!refused_.empty()) {
    stats_.refused_deliveries += refused_.size();
    for (const auto& refused : refused_) {
      link.add_result(refused.id, Status::retry, refused.reason, now);
    }
    link.flush(now);
    effects.notify(Level::warning, "a coordinator sent deliveries that are not for this worker",
                   {{"coordinator", link.coordinator().name}, {"reason", refused_.front().reason}});
  }
  if (winding_down()) return_queued(now);
}

void TaskMachine::give_up(CoordinatorLink& link, TimePoint now) {
  link.reset(now);
  link.append_events(events_);
}

void TaskMachine::extend(const Extension& extension, TimePoint now) {
  queue_.look(now);
  queue_.extend(extension);
  const SessionRef& session = queue_.session_of(extension.lot);
  CoordinatorLink* link = find(session.channel);
  if (link != nullptr && link->is_current(session)) link->extend(extension, now);
}

CoordinatorLink* TaskMachine::add_results(const Execution& execution,
                                          const DeliveryQueue::Range& range, TimePoint now) {
  TaskStats::Task& stats = *stats_of_[static_cast<std::size_t>(execution.task)];
  SessionRef session;
  CoordinatorLink* link = nullptr;
  for (std::size_t i = range.first; i < range.end; ++i) {
    const Assigned& assigned = execution.deliveries[i];
    stats.count(execution.outcomes[i].status);
    stats.wait_times.record(execution.started_at - queue_.received_at(assigned));
    if (i == range.first || queue_.session_of(assigned) != session) {
      session = queue_.session_of(assigned);
      link = find(session.channel);
      if (link != nullptr && !link->is_current(session)) link = nullptr;
    }
    if (link == nullptr) {
      ++stats_.late_results;
    } else {
      link->add_result(execution, i, now);
    }
  }
  return link;
}

void TaskMachine::completed(std::unique_ptr<Execution> execution, TimePoint now,
                            link::Effects& effects) {
  queue_.look(now);
  const DeliveryQueue::Finished finished = queue_.finish(*execution, now);
  if (finished.was_behind) {
    queue_.close(*execution, finished.range);
    queue_.recycle(std::move(execution));
    return;
  }
  if (finished.was_given_up) {
    --hung_threads_;
    stats_.overdue_results += finished.range.end - finished.range.first;
    if (hung_threads_ <= kMostHungThreads) is_crowded_ = false;
    effects.notify(Level::info, "a call that had been given up has ended; its result is dropped",
                   {{"took", format_duration(execution->handle_time)}});
  } else {
    TaskStats::Task& stats = *stats_of_[static_cast<std::size_t>(execution->task)];
    if (finished.last_call >= kCountedCall) {
      for (std::size_t i = finished.range.first; i < finished.range.end; ++i) {
        execution->outcomes[i].handled_us = whole_us(finished.last_call);
      }
    }
    if (taps_.active()) taps_.show_outputs(*execution, now);
    CoordinatorLink* link = add_results(*execution, finished.range, now);
    if (link != nullptr) {
      link->add_fused(*execution);
      link->take_frames(effects);
    }
    estimate_.record(execution->begun(), execution->handle_time);
    stats.handle_times.merge(execution->handle_times);
    stats.dropped_outputs += execution->dropped_outputs;
    for (const FusedTask& fused : execution->fused) {
      stats_of_[static_cast<std::size_t>(fused.task)]->count(fused);
    }
    count_untaken(*execution, now, effects);
  }
  queue_.close(*execution, finished.range);
  unflushed_.push_back(std::move(execution));
}

void TaskMachine::count_untaken(const Execution& execution, TimePoint now, link::Effects& effects) {
  bool is_news = false;
  for (const UntakenOutput& untaken : execution.untaken) {
    for (const ServedTask& task : served_) {
      if (task.id != untaken.task) continue;
      is_news = stats_.untaken.add(task.name, untaken, effects) || is_news;
    }
  }
  if (is_news) register_node(now, effects);
}

// --- The turn ----------------------------------------------------------------------------------

wire::Window TaskMachine::window() const {
  const std::size_t coordinators = std::max<std::size_t>(coordinators_up(), 1);
  return {estimate_.messages(coordinators, queue_.slow_threads()),
          std::max<std::uint64_t>(options_.window_bytes / coordinators, 1), estimate_.batch()};
}

std::size_t TaskMachine::coordinators_up() const {
  return static_cast<std::size_t>(std::count_if(
      links_.begin(), links_.end(), [](const auto& entry) { return entry.second->is_up(); }));
}

void TaskMachine::turn(TimePoint now, link::Effects& effects, Work& work) {
  if (phase_ == Phase::finished) return;
  if (member_.turn(now, effects)) heed_directory(now, effects);
  for (auto& [channel, link] : links_) {
    link->turn(now);
    take_events(*link, {}, now, effects);
  }
  queue_.look(now);
  watch_calls(now, effects, work);
  if (phase_ == Phase::serving) {
    // First, so that threads are busy while results are put into frames.
    settle_trial(now, effects);
    queue_.assign(now, work.executions);
    return_late(now);
    advance_trial(now, effects, work);
    close_unlisted(now, effects);
  }
  if (taps_.active()) show_taps(now, effects, work);
  flush(now, effects);
  watch_for_stall(now, effects);
  go_on(now, effects, work);
}

void TaskMachine::watch_calls(TimePoint now, link::Effects& effects, Work& work) {
  if (queue_.running() == 0) return;
  done_.clear();
  queue_.take_back_behind_slow_calls(done_);
  for (const DeliveryQueue::Done& done : done_) add_results(*done.execution, done.range, now);
  if (winding_down() && queue_.queued() > 0) return_queued(now);
  while (const auto overdue = queue_.find_overdue()) give_up_call(*overdue, now, effects, work);
}

void TaskMachine::give_up_call(const DeliveryQueue::Overdue& overdue, TimePoint now,
                               link::Effects& effects, Work& work) {
  const ServedTask& task =
      *std::find_if(served_.begin(), served_.end(),
                    [&](const ServedTask& one) { return one.id == overdue.task; });
  std::string reason =
      task.is_sink ? "the sink has not answered within " : "the call has not ended within ";
  reason += format_duration(overdue.by_message ? task.message_timeout : task.timeout);
  if (overdue.was_extended && !overdue.by_message) reason += " and the more it asked for";
  reasons_.push_back(reason);
  const Status status = task.is_sink         ? Status::unavailable
                        : overdue.by_message ? Status::tree_timed_out
                                             : Status::timed_out;
  const std::vector<DeliveryQueue::Waiting> reported = queue_.give_up(overdue);
  for (const DeliveryQueue::Waiting& one : reported) {
    stats_of_[static_cast<std::size_t>(task.id)]->count(status);
    CoordinatorLink* link = find(one.session.channel);
    if (link == nullptr || !link->is_current(one.session)) continue;
    link->add_result(one.id, status, reasons_.back(), now,
                     task.is_sink ? 0 : whole_us(overdue.worked));
  }
  estimate_.record(1, overdue.worked);
  ++hung_threads_;
  if (hung_threads_ > kMostHungThreads) {
    queue_.lose_thread(overdue.thread);
    if (!std::exchange(is_crowded_, true)) {
      effects.notify(Level::error,
                     "too many calls hang to put another thread in the place of each: start this "
                     "worker anew",
                     {{"task", task.name}, {"hanging", hung_threads_}});
    }
    return;
  }
  ++stats_.threads_replaced;
  work.replacements.push_back(overdue.thread);
  effects.notify(Level::warning,
                 reported.empty()
                     ? "a batch is given up, and each of it run by itself: " + reason
                     : "a call is given up, and another thread takes its place: " + reason,
                 {{"task", task.name}, {"hanging", hung_threads_}});
}

void TaskMachine::settle_trial(TimePoint now, link::Effects& effects) {
  const auto session = queue_.unsettled_trial();
  if (!session) return;
  CoordinatorLink* link = find(session->channel);
  const bool is_current = link != nullptr && link->is_current(*session);
  if (is_current) {
    link->flush(now);
    link->take_frames(effects);
  }
  if (!is_current || link->all_confirmed()) queue_.settle_trial();
}

/// A delivery that may kill this worker starts only once its coordinator knows: so that, if it
/// does, it counts against that one, and not against what merely waited here.
void TaskMachine::advance_trial(TimePoint now, link::Effects& effects, Work& work) {
  if (const auto trial = queue_.announce_trial(now)) {
    CoordinatorLink& link = *find(trial->session.channel);  // With its session it would be gone.
    link.add_result(trial->id, Status::started, {}, now);
    link.flush(now);
    link.take_frames(effects);
    return;
  }
  const auto announced = queue_.announced_trial();
  if (announced && !queue_.unsettled_trial() && find(announced->session.channel)->all_confirmed()) {
    work.executions.push_back(queue_.start_trial(now));
  }
}

void TaskMachine::set_taps(link::Effects& effects) {
  const bool was_active = taps_.active();
  taps_.set(member_.directory().watches, served_);
  if (taps_.active() == was_active) return;
  effects.notify(Level::info, was_active ? "no operator taps a task here any more"
                                         : "an operator taps a task here");
}

void TaskMachine::show_taps(TimePoint now, link::Effects& effects, const Work& work) {
  for (const auto& execution : work.executions) {
    execution->unfused = taps_.unfuses(now);
    taps_.show_inputs(*execution, now);
  }
  taps_.publish(now, effects);
}

void TaskMachine::watch_for_stall(TimePoint now, link::Effects& effects) {
  const DeliveryQueue::LongestRun run = queue_.longest_run();
  const bool stalled = run.since != kNever && now - run.since >= options_.stall_after;
  if (stalled == !stall_.empty()) return;
  if (stalled) {
    const auto& task = *std::find_if(served_.begin(), served_.end(),
                                     [&](const ServedTask& one) { return one.id == run.task; });
    stall_ =
        "task '" + task.name + "' has not come back for " + format_duration(options_.stall_after);
    effects.notify(Level::warning, "stalled: " + stall_,
                   {{"threads_busy", queue_.busy_threads()}, {"queued", queue_.queued()}});
  } else {
    stall_.clear();
    effects.notify(Level::info, "no longer stalled");
  }
  register_node(now, effects);
}

void TaskMachine::flush(TimePoint now, link::Effects& effects) {
  const wire::Window current = window();
  for (auto& [channel, link] : links_) {
    // Before what goes back: else the coordinator would send that here again, behind what it has
    // sent since, and a key's messages would change places.
    if (winding_down()) link->close_window(now);
    link->flush(now);
    if (phase_ == Phase::serving) link->adjust_window(current, now);
    link->take_frames(effects);
  }
  for (auto& execution : unflushed_) queue_.recycle(std::move(execution));
  unflushed_.clear();
  reasons_.clear();
}

TimePoint TaskMachine::next_turn() const {
  TimePoint next = member_.next_turn();
  for (const auto& [channel, link] : links_) next = std::min(next, link->next_turn());
  if (winding_down()) next = std::min(next, deadline_);
  next = std::min(next, queue_.next_trial());
  if (phase_ == Phase::serving) next = std::min(next, queue_.next_late());
  next = std::min(next, queue_.next_watch());
  const TimePoint since = queue_.longest_run().since;
  if (stall_.empty() && since != kNever) next = std::min(next, since + options_.stall_after);
  return next;
}

// --- The way down ------------------------------------------------------------------------------

void TaskMachine::wind_down(Phase phase, TimePoint now) {
  phase_ = phase;
  deadline_ = now + options_.drain_timeout;
  return_queued(now);
}

void TaskMachine::return_queued(TimePoint now) {
  waiting_.clear();
  queue_.take_all(waiting_);
  give_back(now);
}

void TaskMachine::return_late(TimePoint now) {
  waiting_.clear();
  // What had been sent before it was known that calls take long.
  const std::size_t slow = queue_.slow_threads();
  queue_.take_late(now, slow > 0 ? estimate_.messages(1, slow) : SIZE_MAX, waiting_);
  give_back(now);
}

void TaskMachine::give_back(TimePoint now) {
  for (const DeliveryQueue::Waiting& waiting : waiting_) {
    CoordinatorLink* link = find(waiting.session.channel);
    if (link == nullptr || !link->is_current(waiting.session)) continue;
    stats_of_[static_cast<std::size_t>(waiting.task)]->count(Status::returned);
    link->add_result(waiting.id, Status::returned, {}, now);
  }
}

bool TaskMachine::all_confirmed() const {
  return std::all_of(links_.begin(), links_.end(),
                     [](const auto& entry) { return entry.second->all_confirmed(); });
}

/// The threads that are at a call keep the instances of the version before until it ends.
void TaskMachine::leave_running_calls(link::Effects& effects, Work& work) {
  const std::size_t before = work.replacements.size();
  queue_.give_up_all(work.replacements);
  const std::size_t left = work.replacements.size() - before;
  hung_threads_ += left;
  stats_.threads_replaced += left;
  effects.notify(Level::warning,
                 "calls have not ended within the drain timeout: going on without them",
                 {{"calls", left}});
}

/// Whatever a phase has waited for may have come about.
void TaskMachine::go_on(TimePoint now, link::Effects& effects, Work& work) {
  const bool settled = queue_.running() == 0 && all_confirmed();
  if (phase_ == Phase::draining && (settled || now >= deadline_)) {
    if (!settled) {
      effects.notify(Level::warning, "the drain timeout is over before everything was finished",
                     {{"batches_running", queue_.running()}});
    }
    finish("stopped", kExitOk, now, effects);
  }
  // Results not confirmed by now are another's to redo, and so is what still runs.
  const bool is_overdue = phase_ == Phase::switching && now >= deadline_;
  if (is_overdue && queue_.running() > 0) leave_running_calls(effects, work);
  if (phase_ == Phase::switching && (settled || is_overdue)) {
    close_links("changing to another version", now, effects);
    version_.clear();
    phase_ = Phase::building;
    build_wanted_ = true;
    register_node(now, effects);
  }
  if (phase_ == Phase::building && build_wanted_) {
    build_wanted_ = false;
    work.build =
        BuildRequest{member_.directory().topology_version, member_.directory().topology_text};
  }
}

void TaskMachine::stop(bool at_once, TimePoint now, link::Effects& effects) {
  if (phase_ == Phase::finished) return;
  if (at_once) {
    finish("stopped at once", kExitOk, now, effects);
    return;
  }
  if (phase_ == Phase::draining) return;
  wind_down(Phase::draining, now);
  effects.notify(Level::info, "draining", {{"batches_running", queue_.running()}});
  register_node(now, effects);
}

void TaskMachine::finish(std::string_view reason, int exit_code, TimePoint now,
                         link::Effects& effects) {
  phase_ = Phase::finished;
  close_links(reason, now, effects);
  member_.close(reason, now, effects);
  effects.finished = true;
  effects.exit_code = exit_code;
}

void TaskMachine::report(wire::StatsReport& report) const {
  wire::StatsBuilder stats(report);
  link::Counters links = stats_.closed_links;
  link::Backlog backlog;
  for (const auto& [channel, link] : links_) {
    links += link->counters();
    backlog += link->backlog();
  }
  link::report(links, backlog, stats);
  stats.gauge("tempest_handler_threads", queue_.threads());
  stats.gauge("tempest_handlers_busy", queue_.busy_threads());
  stats.gauge("tempest_stalled", stall_.empty() ? 0.0 : 1.0);
  stats.gauge("tempest_coordinators_up", coordinators_up());
  stats.gauge("tempest_window_messages",
              estimate_.messages(coordinators_up(), queue_.slow_threads()));
  stats.gauge("tempest_handlers_hung", hung_threads_);
  stats.gauge("tempest_deliveries_bytes", queue_.frame_bytes());
  stats_.report(stats);
  for (const ServedTask& task : served_) {
    stats.for_task(task.name);
    stats.gauge("tempest_task_queued", queue_.queued(task.id));
  }
}

}  // namespace tempest::task_node
