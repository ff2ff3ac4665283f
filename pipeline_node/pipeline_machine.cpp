#include "pipeline_node/pipeline_machine.hpp"

#include <algorithm>
#include <utility>

#include "tempest/base/limits.hpp"
#include "tempest/wire/codec.hpp"

namespace tempest::pipeline_node {

using tracking::kNowhere;

namespace {
// What an item costs in a frame beyond its payload, roughly: to reserve room and close batches.
constexpr std::size_t kItemOverheadBytes = 32;
// A task's wish for a pause, or for more time, is bounded: its message stays in flight meanwhile.
constexpr std::uint64_t kMaxRetryAfter_ms = 24ULL * 3600 * 1000;

tracking::Tracker::Failure failure_of(const wire::Results::Failure& failure) {
  if (failure.status == wire::Results::Status::fail) return {true, failure.reason, {}};
  const std::uint64_t wait_ms = std::min(failure.retry_after_ms, kMaxRetryAfter_ms);
  return {false, failure.reason, std::chrono::milliseconds(wait_ms)};
}
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
      stall_watch_(settings_.stall_after) {}

void PipelineMachine::start(TimePoint now, link::Effects& effects) {
  member_.start(now, effects);
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
    if (member_.receive(received.channel, received.frame.view(), now, effects)) {
      directory_changed(now, effects);
    }
    return;
  }
  server_.receive(received.routing_id, received.frame.view(), now, output_);
  carry_out(received.frame, now, effects);
}

void PipelineMachine::turn(TimePoint now, link::Effects& effects) {
  tracker_.traces().set_time(now);
  if (member_.turn(now, effects)) directory_changed(now, effects);
  if (closed_) return;
  server_.turn(now, output_);
  carry_out({}, now, effects);
  open_if_ready(now);
  tracker_.turn(now);
  for (const tracking::TimedOutDelivery& timed_out : tracker_.timed_out()) {
    timeout_log_.add(timed_out, topology_.graph, now, notices_);
  }
  tracker_.timed_out().clear();
  hand_out(now);
  sort_outcomes();
  for (Peer& peer : peers_) send_outcomes(peer, now);
  settle_slots(now, effects);
  carry_out({}, now, effects);
  if (!tracker_.traces().sightings().empty()) publish_traces(now, effects);
  watch_for_stall(now, effects);
  if (draining_) finish_if_drained(now, effects);
}

TimePoint PipelineMachine::next_turn() const {
  const TimePoint next = std::min(
      {member_.next_turn(), server_.next_turn(), tracker_.next_turn(), stall_watch_.next_turn()});
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
  const bool drained = tracker_.trees_in_flight() == 0 && server_.all_confirmed();
  if (!drained && now < drain_until_) return;
  server_.close("draining", now, output_);
  carry_out({}, now, effects);
  member_.close("draining", now, effects);
  effects.notify(link::Notice::Level::info, "stopped",
                 {{"left_in_flight", std::to_string(tracker_.trees_in_flight())}});
  closed_ = true;
  effects.finished = true;
}

void PipelineMachine::show_state(std::string state, TimePoint now, link::Effects& effects) {
  registry::Registration registration = member_.registration();
  registration.state = std::move(state);
  member_.set_registration(std::move(registration), now, effects);
}

void PipelineMachine::watch_for_stall(TimePoint now, link::Effects& effects) {
  switch (stall_watch_.observe(tracker_.trees_in_flight() > 0, tracker_.deliveries_ended(), now)) {
    case StallWatch::Change::none:
      return;
    case StallWatch::Change::stalled: {
      const std::string cause = stall_cause();
      effects.notify(link::Notice::Level::warning, "stalled: " + cause,
                     {{"in_flight", std::to_string(tracker_.trees_in_flight())}});
      if (!draining_) show_state("stalled: " + cause, now, effects);
      return;
    }
    case StallWatch::Change::resumed:
      effects.notify(link::Notice::Level::info, "no longer stalled");
      if (!draining_) show_state("running", now, effects);
      return;
  }
}

std::string PipelineMachine::stall_cause() const {
  const auto order = topology_.graph.topological_order();
  for (auto task = order.rbegin(); task != order.rend(); ++task) {
    const std::string name = "task '" + topology_.graph.node(*task).name + "'";
    if (scheduler_.queued(*task) > 0 && scheduler_.workers_of(*task) == 0) {
      return "no worker serves " + name;
    }
    if (scheduler_.in_flight(*task) > 0) return "the workers of " + name + " do not answer";
    if (scheduler_.queued(*task) > 0) {
      return topology_.graph.node(*task).grouping == dag::Grouping::key
                 ? "the key slots of " + name + " wait for a worker or for the broker"
                 : "no worker of " + name + " takes anything";
    }
  }
  return "deliveries wait for their next attempt";
}

// --- Peers ---------------------------------------------------------------------------------------

void PipelineMachine::carry_out(const SharedBytes& frame, TimePoint now, link::Effects& effects) {
  // Handling an event may add frames and events: a session given up is one more that is lost.
  for (std::size_t i = 0; i < output_.events.size(); ++i) {
    const link::Event event = output_.events[i];
    handle(event, frame, now);
  }
  output_.events.clear();
  for (link::Outgoing& outgoing : output_.frames) {
    effects.sends.push_back(
        {link::kListener, std::move(outgoing.routing_id), std::move(outgoing.frame)});
  }
  output_.frames.clear();
  for (link::Notice& notice : notices_) effects.notices.push_back(std::move(notice));
  notices_.clear();
}

void PipelineMachine::handle(const link::Event& event, const SharedBytes& frame, TimePoint now) {
  switch (event.kind) {
    case link::Event::Kind::up:
      peer_up(event);
      return;
    case link::Event::Kind::lost:
      peer_lost(event, now);
      return;
    case link::Event::Kind::body:
      if (event.peer.slot < peers_.size() && peers_[event.peer.slot].live) {
        receive_body(peers_[event.peer.slot], event, frame, now);
      }
      return;
  }
}

void PipelineMachine::peer_up(const link::Event& event) {
  if (event.peer.slot >= peers_.size()) peers_.resize(event.peer.slot + 1);
  Peer& peer = peers_[event.peer.slot];
  peer = Peer{};
  peer.id = event.peer;
  peer.live = true;
  peer.role = event.identity->role;
  peer.name = event.identity->name;
}

void PipelineMachine::peer_lost(const link::Event& event, TimePoint now) {
  Peer& peer = peers_[event.peer.slot];
  const bool expected =
      event.reason == link::LostReason::left || event.reason == link::LostReason::closed;
  std::string given_back = "0";
  if (peer.worker) {
    const auto deliveries = scheduler_.remove_worker(*peer.worker);
    given_back = std::to_string(deliveries.size());
    if (expected) {
      tracker_.worker_lost(deliveries);
    } else {
      tracker_.worker_died(deliveries, peer.name, now);
    }
  } else if (peer.role == Role::source) {
    tracker_.forget_owner(peer.id);
  }
  notices_.push_back({expected ? link::Notice::Level::info : link::Notice::Level::warning,
                      std::string(to_string(peer.role)) + " lost",
                      {{"peer", peer.name},
                       {"reason", link::to_string(event.reason)},
                       {"deliveries_given_back", given_back}}});
  peer = Peer{};
}

void PipelineMachine::receive_body(Peer& peer, const link::Event& event, const SharedBytes& frame,
                                   TimePoint now) {
  switch (event.body_kind) {
    case wire::BodyKind::attach:
      return attach(peer, event.body, now);
    case wire::BodyKind::window:
      return receive_window(peer, event.body);
    case wire::BodyKind::messages:
      return receive_messages(peer, event.body, frame, now);
    case wire::BodyKind::results:
      return receive_results(peer, event.body, frame, now);
    default:
      return malformed(peer, {ErrorCode::protocol, "a body that no coordinator takes"});
  }
}

void PipelineMachine::malformed(const Peer& peer, const Error& error) {
  ++malformed_bodies_;
  notices_.push_back({link::Notice::Level::warning,
                      "gave a session up for what came in it: " + error.message,
                      {{"peer", peer.name}}});
  // Nobody knows what it would have said. With the session its work goes back, and is done again.
  server_.reset(peer.id, output_);
}

void PipelineMachine::attach(Peer& peer, std::string_view body, TimePoint now) {
  wire::Attach attach;
  if (auto decoded = wire::decode(body, attach); !decoded) return malformed(peer, decoded.error());
  if (peer.role == Role::source) {
    const bool has_credit = open_ && !draining_;
    send_window(peer, has_credit ? settings_.source_window_messages : 0,
                has_credit ? settings_.source_window_bytes : 0, now);
    return;
  }
  if (peer.role != Role::task || peer.worker) {
    return malformed(peer, {ErrorCode::protocol, "an unexpected attach"});
  }
  if (attach.topology_version != topology_.version) {
    // It follows another definition, and will attach again once it has followed the directory.
    notices_.push_back({link::Notice::Level::warning,
                        "a worker of another topology version gets no work",
                        {{"peer", peer.name}, {"version", std::string(attach.topology_version)}}});
    return;
  }
  peer.worker =
      scheduler_.add_worker(peer.name, attach.tasks, {attach.window_messages, attach.window_bytes});
  if (batches_.size() <= *peer.worker) batches_.resize(*peer.worker + 1);
  batches_[*peer.worker] = Batch{};
  batches_[*peer.worker].peer = peer.id;
  notices_.push_back({link::Notice::Level::info,
                      "worker attached",
                      {{"peer", peer.name}, {"tasks", std::to_string(attach.tasks.size())}}});
}

void PipelineMachine::receive_window(const Peer& peer, std::string_view body) {
  wire::Window window;
  if (auto decoded = wire::decode(body, window); !decoded) return malformed(peer, decoded.error());
  if (peer.worker) scheduler_.set_window(*peer.worker, {window.messages, window.bytes});
}

void PipelineMachine::receive_messages(Peer& peer, std::string_view body, const SharedBytes& frame,
                                       TimePoint now) {
  if (auto decoded = wire::decode(body, messages_); !decoded) {
    return malformed(peer, decoded.error());
  }
  if (peer.role != Role::source) {
    return malformed(peer, {ErrorCode::protocol, "messages from a node that is no source"});
  }
  auto traced = messages_.traced.begin();
  for (const wire::Messages::Item& item : messages_.items) {
    std::uint64_t trace = 0;
    if (traced != messages_.traced.end() && &messages_.items[traced->item] == &item) {
      trace = (traced++)->message;
    }
    if (draining_) {
      peer.returned.push_back(item.id);
      ++messages_returned_;
      continue;
    }
    tracker_.begin(peer.id, item.id, tracking::Payload::take(item.key, item.payload, frame), now,
                   trace);
  }
}

void PipelineMachine::receive_results(Peer& peer, std::string_view body, const SharedBytes& frame,
                                      TimePoint now) {
  if (auto decoded = wire::decode(body, results_); !decoded) {
    return malformed(peer, decoded.error());
  }
  if (!peer.worker) {
    return malformed(peer, {ErrorCode::protocol, "results from a node that is no worker"});
  }
  const std::uint32_t worker = *peer.worker;
  if (!lead_along_edges(results_)) {
    return malformed(peer, {ErrorCode::protocol, "results for an edge that the graph has not"});
  }
  const bool ran_suspect = std::exchange(peer.runs_suspect, false);
  if (ran_suspect) server_.confirm_soon(peer.id, now);
  fused_failures_.clear();
  for (const wire::Results::Failure& failure : results_.failures) {
    fused_failures_.push_back(failure_of(failure));
  }
  for (const wire::Results::Item& item : results_.items) {
    if (item.handled_us > 0) tracker_.note_handled(item.id, worker, item.handled_us);
    switch (item.status) {
      case wire::Results::Status::done:
        acknowledge(item, worker, frame, now);
        break;
      case wire::Results::Status::retry:
      case wire::Results::Status::fail:
        tracker_.fail(item.id, worker, failure_of({item.status, item.reason, item.retry_after_ms}),
                      now);
        break;
      case wire::Results::Status::returned:
        tracker_.give_back(item.id, worker);
        break;
      case wire::Results::Status::started:
        // The worker waits for the confirmation before it runs it.
        tracker_.start(item.id, worker);
        peer.runs_suspect = true;
        server_.confirm_soon(peer.id, now);
        break;
      case wire::Results::Status::extended:
        tracker_.extend(item.id, worker,
                        std::chrono::milliseconds(
                            std::min<std::uint64_t>(item.retry_after_ms, kMaxRetryAfter_ms)),
                        now);
        peer.runs_suspect = ran_suspect;
        break;
    }
  }
  outputs_.clear();
  for (const wire::Results::Fused& fused : results_.fused) {
    tracker_.count_fused(fused.task, fused.acknowledged, fused.outputs, fused.outputs_dropped);
  }
}

/// Before anything of it is heeded: an output without a way would be lost.
bool PipelineMachine::lead_along_edges(const wire::Results& results) const {
  const dag::Graph& graph = topology_.graph;
  return std::all_of(results.outputs.begin(), results.outputs.end(),
                     [&](const wire::Results::Output& output) {
                       return output.edge == kNoEdge ||
                              static_cast<std::size_t>(output.edge) < graph.edge_count();
                     }) &&
         std::all_of(results.fused.begin(), results.fused.end(),
                     [&](const wire::Results::Fused& fused) {
                       return static_cast<std::size_t>(fused.task) < graph.task_count();
                     });
}

void PipelineMachine::acknowledge(const wire::Results::Item& item, std::uint32_t worker,
                                  const SharedBytes& frame, TimePoint now) {
  outputs_.clear();
  for (std::uint32_t i = 0; i < item.output_count; ++i) {
    const wire::Results::Output& output = results_.outputs[item.first_output + i];
    const bool failed = output.failure != wire::Results::kNotFailed;
    outputs_.push_back({output.output, tracking::Payload::take(output.key, output.payload, frame),
                        output.edge, failed ? &fused_failures_[output.failure] : nullptr});
  }
  tracker_.acknowledge(item.id, worker, outputs_, now);
}

template <typename Body>
void PipelineMachine::send(PeerId peer, const Body& body, TimePoint now) {
  server_.send(peer, wire::kKindOf<Body>, wire::data_frame(body), now, output_);
}

void PipelineMachine::send_window(const Peer& peer, std::uint64_t messages, std::uint64_t bytes,
                                  TimePoint now) {
  send(peer.id, wire::Window{messages, bytes}, now);
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

// --- The directory -------------------------------------------------------------------------------

void PipelineMachine::directory_changed(TimePoint now, link::Effects& effects) {
  const registry::Directory& directory = member_.directory();
  std::vector<tracking::Scheduler::DirectoryWorker> workers;
  workers.reserve(directory.workers.size());
  for (const auto& listed : directory.workers) {
    tracking::Scheduler::DirectoryWorker worker{listed.name, {}};
    for (const std::string& name : listed.tasks) {
      const TaskId task = topology_.graph.find(name);
      if (task != kNoTask) worker.tasks.push_back(task);
    }
    workers.push_back(std::move(worker));
  }
  scheduler_.set_directory(workers, directory.slots_revision);
  scheduler_.set_settled(directory.slots_settled);
  settle_slots(now, effects);
}

void PipelineMachine::settle_slots(TimePoint now, link::Effects& effects) {
  if (settlement_told_ >= member_.directory().slots_revision) return;
  const std::uint64_t settled = scheduler_.settled_here();
  if (settled <= settlement_told_) return;
  settlement_told_ = settled;
  member_.settle_slots(settled, now, effects);
}

// --- Handing out ---------------------------------------------------------------------------------

void PipelineMachine::hand_out(TimePoint now) {
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
  wire::Deliveries::Item item;
  item.id = table_.id_of(slot);
  item.task = leader.task;
  item.attempt = leader.attempt;
  item.alone = tracking::is_suspect(leader);
  if (leader.traced) {
    item.traced = true;
    tracker_.note_handed_out(slot);
  }
  item.first_part = static_cast<std::uint32_t>(deliveries.parts.size());
  item.part_count = 0;
  for (std::uint32_t at = slot; at != kNowhere; at = table_.at(at).members) {
    const tracking::Delivery& part = table_.at(at);
    deliveries.parts.push_back({part.edge, part.payload.key(), part.payload.bytes()});
    batch.bytes += part.payload.size_bytes() + kItemOverheadBytes;
    ++item.part_count;
  }
  deliveries.items.push_back(item);
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
    if (peer.id == failed.owner) peer.failed.push_back(std::move(failed));
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

  for (std::size_t i = 0; i < peer.failed.size();) {
    std::size_t bytes = 0;
    for (; i < peer.failed.size() && bytes < kFrameTargetBytes; ++i) {
      const tracking::FailedMessage& failed = peer.failed[i];
      const std::string_view task =
          failed.task == kNoTask ? std::string_view() : topology_.graph.node(failed.task).name;
      outcomes_.failed.push_back({failed.message, failed.kind, task, failed.attempts, failed.worker,
                                  failed.reason, failed.payload.bytes(), failed.retries});
      bytes += failed.payload.size_bytes() + failed.reason.size();
    }
    send(peer.id, outcomes_, now);
    outcomes_.failed.clear();
  }
  peer.failed.clear();

  if (!peer.returned.empty()) {
    outcomes_.returned = std::move(peer.returned);
    send(peer.id, outcomes_, now);
    outcomes_.returned.clear();
    peer.returned.clear();
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
  stats.gauge("tempest_deliveries_delayed", tracker_.delayed());
  stats.gauge("tempest_delivery_records", table_.size());
  stats.gauge("tempest_suspects_waiting", scheduler_.suspects_waiting());
  stats.gauge("tempest_tracking_memory_bytes", tracker_.memory_bytes());
  stats.gauge("tempest_queued_bytes", scheduler_.queued_bytes());
  stats.gauge("tempest_workers", scheduler_.worker_count());
  stats.gauge("tempest_stalled", stall_watch_.stalled() ? 1.0 : 0.0);
  const TimePoint oldest = tracker_.oldest_tree();
  stats.gauge("tempest_oldest_tree_age_seconds",
              oldest == kNever ? 0.0 : std::chrono::duration<double>(now - oldest).count());
  stats.distribution("tempest_tree_duration_seconds", tracker_.tree_durations());
  link::report(server_.counters(), server_.backlog(), stats);
  timeout_log_.report(topology_.graph, stats);

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
