#include "pipeline_node/pipeline_machine.hpp"

#include <algorithm>
#include <utility>

#include "tempest/base/limits.hpp"
#include "tempest/wire/codec.hpp"
#include "tempest/wire/failure_credit.hpp"

namespace tempest::pipeline_node {

using tracking::kNowhere;

namespace {
// What an item costs in a frame beyond its payload, roughly: to reserve room and close batches.
constexpr std::size_t kItemOverheadBytes = 32;
}  // namespace

PipelineMachine::PipelineMachine(link::Identity self, PipelineSettings settings, Topology topology,
                                 std::uint64_t seed)
    : self_(std::move(self)),
      settings_(std::move(settings)),
      topology_(std::move(topology)),
      scheduler_(topology_.graph, table_, settings_.queue_limits),
      tracker_(topology_.graph, table_, scheduler_, tracking::failure_rules_of(topology_), seed),
      member_(self_, settings_.brokers, settings_.link, seed + 1),
      server_(self_, settings_.link),
      sightings_(self_),
      roll_call_(topology_.graph, settings_.link.lease),
      stall_watch_(settings_.stall_after) {}

void PipelineMachine::start(TimePoint now, link::Effects& effects) {
  member_.start(now, effects);
  alone_at_ = now + 2 * settings_.link.lease;
  registry::Registration registration;
  registration.endpoint = settings_.endpoint;
  registration.topology_version = topology_.version;
  registration.topology_text = topology_.text;
  member_.set_registration(std::move(registration), now, effects);
}

void PipelineMachine::receive(const link::FrameReceived& received, TimePoint now,
                              link::Effects& effects) {
  tracker_.traces().set_time(now);
  if (member_.owns(received.channel)) {
    if (member_.receive(received.channel, received.frame.view(), now, effects)) directory_changed();
    return;
  }
  server_.receive(received.routing_id, received.frame.view(), now, output_);
  carry_out(received.frame, now, effects);
}

void PipelineMachine::turn(TimePoint now, link::Effects& effects) {
  tracker_.traces().set_time(now);
  if (member_.turn(now, effects)) directory_changed();
  if (closed_) return;
  server_.turn(now, output_);
  carry_out({}, now, effects);
  keep_slots(now, effects);
  open_if_ready(now);
  tracker_.turn(now);
  for (const tracking::TimedOutDelivery& timed_out : tracker_.timed_out()) {
    timeout_log_.add(timed_out, topology_.graph, now, notices_);
  }
  tracker_.timed_out().clear();
  if (away_log_.turn(now, topology_.graph, notices_) && !draining_) {
    show_state(state(), now, effects);
  }
  attempt_log_.turn(now, topology_.graph, notices_);
  // Before more is handed out: what failed and has no room counts against it.
  sort_outcomes();
  for (Peer& peer : peers_) send_outcomes(peer, now);
  hand_out(now);
  carry_out({}, now, effects);
  if (!tracker_.traces().sightings().empty()) publish_traces(now, effects);
  watch_for_stall(now, effects);
  if (draining_) finish_if_drained(now, effects);
}

TimePoint PipelineMachine::next_turn() const {
  const TimePoint next = std::min({member_.next_turn(), server_.next_turn(), tracker_.next_turn(),
                                   stall_watch_.next_turn(), away_log_.next_turn(),
                                   attempt_log_.next_turn(), next_slot_turn()});
  return draining_ ? std::min(next, drain_until_) : next;
}

void PipelineMachine::stop(bool at_once, TimePoint now, link::Effects& effects) {
  if (closed_) return;
  if (!draining_) {
    draining_ = true;
    show_state("draining", now, effects);
    for (const Peer& peer : peers_) {
      if (peer.live && peer.role == Role::source) send_window(peer, 0, 0, now);
    }
    drain_until_ = now + settings_.drain_timeout;
  }
  if (at_once) drain_until_ = now;
  turn(now, effects);
}

void PipelineMachine::finish_if_drained(TimePoint now, link::Effects& effects) {
  const bool drained =
      tracker_.trees_in_flight() == 0 && failed_waiting_ == 0 && server_.all_confirmed();
  if (!drained && now < drain_until_) return;
  attempt_log_.finish(topology_.graph, notices_);
  server_.close("draining", now, output_);
  carry_out({}, now, effects);
  member_.close("draining", now, effects);
  effects.notify(link::Notice::Level::info, "stopped",
                 {{"left_in_flight", tracker_.trees_in_flight()}});
  closed_ = true;
  effects.finished = true;
}

void PipelineMachine::show_state(std::string shown, TimePoint now, link::Effects& effects) {
  registry::Registration registration = member_.registration();
  registration.state = std::move(shown);
  member_.set_registration(std::move(registration), now, effects);
}

void PipelineMachine::watch_for_stall(TimePoint now, link::Effects& effects) {
  switch (stall_watch_.observe(tracker_.trees_in_flight() > 0, tracker_.deliveries_ended(), now)) {
    case StallWatch::Change::none:
      return;
    case StallWatch::Change::stalled: {
      stall_ = stall_cause();
      effects.notify(link::Notice::Level::warning, "stalled: " + stall_,
                     {{"in_flight", tracker_.trees_in_flight()}});
      if (!draining_) show_state(state(), now, effects);
      return;
    }
    case StallWatch::Change::resumed:
      stall_.clear();
      effects.notify(link::Notice::Level::info, "no longer stalled");
      if (!draining_) show_state(state(), now, effects);
      return;
  }
}

std::string PipelineMachine::state() const {
  if (!stall_.empty()) return "stalled: " + stall_;
  if (!away_log_.empty()) return "waiting: " + away_log_.describe(topology_.graph);
  if (const std::string missed = roll_call_.describe(); !missed.empty())
    return "running; " + missed;
  return "running";
}

std::string PipelineMachine::stall_cause() const {
  if (!away_log_.empty()) return away_log_.describe(topology_.graph);
  if (failed_waiting_ > 0)
    return "sources have no room for failed messages: see their dead letters";
  const auto order = topology_.graph.topological_order();
  for (auto task = order.rbegin(); task != order.rend(); ++task) {
    const std::string name = "task '" + topology_.graph.node(*task).name + "'";
    if (scheduler_.queued(*task) > 0 && scheduler_.workers_of(*task) == 0) {
      return "no worker serves " + name;
    }
    if (scheduler_.in_flight(*task) > 0) {
      return scheduler_.has_strays() && !scheduler_.strays(*task).none()
                 ? describe_slot_wait(*task)
                 : "the workers of " + name + " do not answer";
    }
    if (scheduler_.queued(*task) > 0) {
      return topology_.graph.node(*task).grouping == dag::Grouping::key
                 ? describe_slot_wait(*task)
                 : "no worker of " + name + " takes anything";
    }
  }
  return "deliveries wait for their next attempt";
}

void PipelineMachine::open_if_ready(TimePoint now) {
  if (open_ || draining_) return;
  const registry::Directory& directory = member_.directory();
  if (scheduler_.worker_count() < settings_.min_workers ||
      directory.workers.size() < settings_.min_workers ||
      directory.slots_settled < directory.slots_revision) {
    return;
  }
  open_ = true;
  for (const Peer& peer : peers_) {
    if (peer.live && peer.role == Role::source) {
      send_window(peer, settings_.source_window_messages, settings_.source_window_bytes, now);
    }
  }
}

// --- Handing out ---------------------------------------------------------------------------------

void PipelineMachine::hand_out(TimePoint now) {
  do {
    hand_out_ready(now);
  } while (tracker_.begin_more());
}

void PipelineMachine::hand_out_ready(TimePoint now) {
  blocked_.assign(batches_.size(), false);
  for (const Peer& peer : peers_) {
    if (peer.worker) blocked_[*peer.worker] = !server_.can_send(peer.id);
  }
  assignments_.clear();
  scheduler_.dispatch(now, blocked_, assignments_);
  for (const auto& assignment : assignments_) {
    Batch& batch = batches_[assignment.worker];
    add_to_batch(batch, assignment.delivery);
    if (batch.bytes >= kFrameTargetBytes || batch.deliveries.items.size() >= kMaxFrameItems) {
      send_batch(batch, now);
    }
  }
  for (Batch& batch : batches_) {
    if (!batch.deliveries.items.empty()) send_batch(batch, now);
  }
}

void PipelineMachine::add_to_batch(Batch& batch, std::uint32_t slot) {
  wire::Deliveries& deliveries = batch.deliveries;
  const tracking::Delivery& leader = table_.at(slot);
  wire::Deliveries::Item& item = deliveries.items.emplace_back();
  item.id = table_.id_of(slot);
  item.task = leader.task;
  item.attempt = leader.attempt;
  item.alone = tracking::is_suspect(leader);
  item.single = leader.single;
  item.first_part = static_cast<std::uint32_t>(deliveries.parts.size());
  add_part(batch, leader);
  for (std::uint32_t at = leader.members; at != kNowhere; at = table_.at(at).members) {
    add_part(batch, table_.at(at));
    ++item.part_count;
  }
  if (!leader.traced) return;
  item.traced = true;
  tracker_.note_handed_out(slot);
}

void PipelineMachine::add_part(Batch& batch, const tracking::Delivery& delivery) {
  const std::string_view key = delivery.payload.key();
  const std::string_view payload = delivery.payload.bytes();
  batch.deliveries.parts.push_back({delivery.edge, key, payload});
  batch.bytes += key.size() + payload.size() + kItemOverheadBytes;
}

void PipelineMachine::send_batch(Batch& batch, TimePoint now) {
  std::string frame;
  frame.reserve(batch.bytes + wire::kDataHeaderBytes + kItemOverheadBytes);
  wire::begin_data(wire::BodyKind::deliveries, frame);
  wire::encode(batch.deliveries, frame);
  server_.send(batch.peer, wire::BodyKind::deliveries, std::move(frame), now, output_);
  batch.deliveries.items.clear();
  batch.deliveries.parts.clear();
  batch.bytes = 0;
}

// --- Outcomes ------------------------------------------------------------------------------------

void PipelineMachine::sort_outcomes() {
  // Its source may be gone since, and another session in its place: that knows nothing of it.
  for (const tracking::AckedMessage& acked : tracker_.acked()) {
    Peer& peer = peers_[acked.owner.slot];
    if (peer.id == acked.owner) peer.acked.push_back(acked.message);
  }
  tracker_.acked().clear();
  for (tracking::FailedMessage& failed : tracker_.failed()) {
    Peer& peer = peers_[failed.owner.slot];
    if (peer.id != failed.owner) continue;
    scheduler_.set_aside().failed += failed.payload.size_bytes();
    ++failed_waiting_;
    peer.failed.push_back(std::move(failed));
  }
  tracker_.failed().clear();
}

void PipelineMachine::send_outcomes(Peer& peer, TimePoint now) {
  std::size_t acked = 0;
  while (acked < peer.acked.size()) {
    const std::size_t count = std::min(peer.acked.size() - acked, kMaxFrameItems);
    const auto first = peer.acked.begin() + static_cast<std::ptrdiff_t>(acked);
    outcomes_.acked.assign(first, first + static_cast<std::ptrdiff_t>(count));
    send(peer.id, outcomes_, now);
    acked += count;
  }
  outcomes_.acked.clear();
  peer.acked.clear();

  if (!peer.failed.empty()) send_failed(peer, now);
  if (!peer.returned.empty()) {
    outcomes_.returned = std::move(peer.returned);
    send(peer.id, outcomes_, now);
    outcomes_.returned.clear();
    peer.returned.clear();
  }
}

/// As far as the source has room for them.
void PipelineMachine::send_failed(Peer& peer, TimePoint now) {
  while (!peer.failed.empty() && peer.failures_told < peer.failures_granted) {
    std::size_t bytes = 0;
    std::size_t count = 0;
    for (; count < peer.failed.size() && bytes < kFrameTargetBytes &&
           peer.failures_told < peer.failures_granted;
         ++count) {
      const tracking::FailedMessage& failed = peer.failed[count];
      const std::string_view task =
          failed.task == kNoTask ? std::string_view() : topology_.graph.node(failed.task).name;
      outcomes_.failed.push_back({failed.message, failed.kind, task, failed.attempts, failed.worker,
                                  failed.reason, failed.payload.bytes(), failed.retries});
      const std::uint64_t cost =
          wire::failure_cost(failed.reason.size(), failed.payload.bytes().size());
      bytes += cost;
      peer.failures_told += cost;
      scheduler_.set_aside().failed -= failed.payload.size_bytes();
    }
    send(peer.id, outcomes_, now);
    outcomes_.failed.clear();
    failed_waiting_ -= count;
    peer.failed.erase(peer.failed.begin(),
                      peer.failed.begin() + static_cast<std::ptrdiff_t>(count));
  }
}

void PipelineMachine::publish_traces(TimePoint now, link::Effects& effects) {
  sightings_.add(tracker_.traces().sightings());
  sightings_.keep(member_.directory().watches);
  sightings_.publish(now, effects);
}

// --- Statistics ----------------------------------------------------------------------------------

void PipelineMachine::report(TimePoint now, wire::StatsReport& report) const {
  wire::StatsBuilder stats(report);
  stats.counter("tempest_trees_started_total", tracker_.trees_started());
  stats.counter("tempest_trees_completed_total", tracker_.trees_completed());
  stats.counter("tempest_trees_failed_total", tracker_.trees_failed());
  stats.counter("tempest_trees_forgotten_total", tracker_.trees_forgotten());
  stats.counter("tempest_stale_results_total", tracker_.stale_results());
  stats.counter("tempest_malformed_bodies_total", malformed_bodies_);
  stats.counter("tempest_messages_returned_total", messages_returned_);
  stats.gauge("tempest_trees_in_flight", tracker_.trees_in_flight());
  stats.gauge("tempest_messages_in_backlog", tracker_.backlog().size());
  stats.gauge("tempest_deliveries_delayed", tracker_.delayed());
  stats.gauge("tempest_delivery_records", table_.size());
  stats.gauge("tempest_suspects_waiting", scheduler_.suspects_waiting());
  stats.gauge("tempest_tracking_memory_bytes", tracker_.memory_bytes());
  stats.gauge("tempest_queued_bytes", scheduler_.queued_bytes());
  std::size_t in_flight_bytes = 0;
  table_.for_each([&](const tracking::Delivery& delivery) {
    const bool is_out = delivery.state == tracking::DeliveryState::in_flight ||
                        delivery.state == tracking::DeliveryState::orphan;
    if (is_out) in_flight_bytes += scheduler_.size_bytes(delivery);
  });
  stats.gauge("tempest_in_flight_bytes", in_flight_bytes);
  stats.gauge("tempest_held_bytes", scheduler_.set_aside().held);
  stats.gauge("tempest_delayed_bytes", scheduler_.set_aside().delayed);
  stats.gauge("tempest_failed_messages_waiting", failed_waiting_);
  stats.gauge("tempest_failed_bytes_waiting", scheduler_.set_aside().failed);
  stats.gauge("tempest_workers", scheduler_.worker_count());
  stats.gauge("tempest_stalled", stall_watch_.stalled() ? 1.0 : 0.0);
  const TimePoint oldest = tracker_.oldest_tree();
  stats.gauge("tempest_oldest_tree_age_seconds",
              oldest == kNever ? 0.0 : std::chrono::duration<double>(now - oldest).count());
  stats.distribution("tempest_tree_duration_seconds", tracker_.tree_durations());
  link::report(server_.counters(), server_.backlog(), stats);
  timeout_log_.report(topology_.graph, stats);
  away_log_.report(topology_.graph, stats);

  for (const TaskId task : topology_.graph.topological_order()) {
    stats.for_task(topology_.graph.node(task).name);
    const tracking::Tracker::TaskCounters& counters = tracker_.counters(task);
    stats.counter("tempest_deliveries_total", counters.acknowledged);
    stats.counter("tempest_deliveries_failed_total", counters.failed);
    stats.counter("tempest_deliveries_retried_total", counters.retried);
    stats.counter("tempest_deliveries_timed_out_total", counters.timed_out);
    stats.counter("tempest_deliveries_extended_total", counters.extended);
    stats.counter("tempest_deliveries_returned_total", counters.returned);
    stats.counter("tempest_workers_killed_total", counters.killed_workers);
    stats.counter("tempest_outputs_total", counters.outputs);
    stats.counter("tempest_outputs_dropped_total", counters.outputs_dropped);
    stats.gauge("tempest_deliveries_queued", scheduler_.queued(task));
    stats.gauge("tempest_deliveries_in_flight", scheduler_.in_flight(task));
  }
}

}  // namespace tempest::pipeline_node
