// What sources and workers say to a coordinator, and who they are: the other half of
// PipelineMachine.

#include <algorithm>
#include <chrono>
#include <utility>

#include "pipeline_node/pipeline_machine.hpp"
#include "tempest/wire/codec.hpp"

namespace tempest::pipeline_node {
namespace {

// A task's wish for a pause, or for more time, is bounded: its message stays in flight meanwhile.
constexpr std::uint64_t kMaxRetryAfter_ms = 24ULL * 3600 * 1000;

tracking::Tracker::Failure failure_of(const wire::Results::Failure& failure) {
  if (failure.status == wire::Results::Status::fail) return {true, failure.reason, {}};
  const std::uint64_t wait_ms = std::min(failure.retry_after_ms, kMaxRetryAfter_ms);
  return {false, failure.reason, std::chrono::milliseconds(wait_ms),
          failure.status == wire::Results::Status::unavailable};
}

}  // namespace

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
    case link::Event::Kind::refused:
      notices_.push_back(
          {link::Notice::Level::warning,
           "refused a " + std::string(to_string(event.identity->role)) + ": " + *event.text,
           {{"peer", event.identity->name}}});
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
  peer.incarnation = event.identity->incarnation;
}

void PipelineMachine::peer_lost(const link::Event& event, TimePoint now) {
  Peer& peer = peers_[event.peer.slot];
  const bool expected =
      event.reason == link::LostReason::left || event.reason == link::LostReason::closed;
  std::string given_back = "0";
  if (peer.worker) {
    const auto deliveries = scheduler_.remove_worker(*peer.worker);
    away_log_.forget(peer.name);
    roll_call_.detach(peer.name);
    given_back = std::to_string(deliveries.size());
    if (expected) {
      tracker_.worker_lost(deliveries);
    } else {
      tracker_.worker_died(deliveries, peer.name, now);
    }
  } else if (peer.role == Role::source) {
    tracker_.forget_owner(peer.id);
    for (const tracking::FailedMessage& failed : peer.failed) {
      scheduler_.set_aside().failed -= failed.payload.size_bytes();
    }
    failed_waiting_ -= peer.failed.size();
  }
  notices_.push_back({expected ? link::Notice::Level::info : link::Notice::Level::warning,
                      std::string(to_string(peer.role)) + " lost",
                      {{"peer", peer.name},
                       {"reason", link::to_string(event.reason)},
                       {"deliveries_given_back", given_back}}});
  if (event.text) notices_.back().fields.emplace_back("said", *event.text);
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
    if (attach.window_bytes > 0) peer.failures_granted = attach.window_bytes;
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
  peer.worker = scheduler_.add_worker(
      peer.name, attach.tasks, {attach.window_messages, attach.window_bytes, attach.window_batch});
  roll_call_.attach(peer.name, peer.incarnation, attach.tasks);
  if (batches_.size() <= *peer.worker) batches_.resize(*peer.worker + 1);
  batches_[*peer.worker] = Batch{};
  batches_[*peer.worker].peer = peer.id;
  notices_.push_back({link::Notice::Level::info,
                      "worker attached",
                      {{"peer", peer.name}, {"tasks", attach.tasks.size()}}});
}

void PipelineMachine::receive_window(Peer& peer, std::string_view body) {
  wire::Window window;
  if (auto decoded = wire::decode(body, window); !decoded) return malformed(peer, decoded.error());
  if (peer.role == Role::source) peer.failures_granted = window.bytes;
  if (peer.worker)
    scheduler_.set_window(*peer.worker, {window.messages, window.bytes, window.batch});
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
    const auto place = static_cast<std::size_t>(&item - messages_.items.data());
    const std::chrono::milliseconds age(messages_.ages_ms.empty() ? 0 : messages_.ages_ms[place]);
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
                   trace, age);
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
    if (item.handled_us > 0) {
      tracker_.note_handled(item.id, worker, item.handled_us);
      tracker_.note_worked(item.id, worker, std::chrono::microseconds(item.handled_us), now);
    }
    note_result(peer, item, now);
    switch (item.status) {
      case wire::Results::Status::done:
        acknowledge(item, worker, frame, now);
        break;
      case wire::Results::Status::retry:
      case wire::Results::Status::fail:
      case wire::Results::Status::unavailable:
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
        tracker_.note_extended(item.id, worker);
        peer.runs_suspect = ran_suspect;
        break;
      case wire::Results::Status::timed_out:
      case wire::Results::Status::tree_timed_out:
        tracker_.time_out(item.id, worker, item.status == wire::Results::Status::tree_timed_out,
                          item.reason, now);
        break;
    }
  }
  outputs_.clear();
  for (const wire::Results::Fused& fused : results_.fused) {
    tracker_.count_fused(fused.task, fused.acknowledged, fused.outputs, fused.outputs_dropped);
    if (fused.acknowledged > 0) away_log_.works(fused.task, peer.name, now);
  }
}

void PipelineMachine::note_result(const Peer& peer, const wire::Results::Item& item,
                                  TimePoint now) {
  if (item.status == wire::Results::Status::unavailable) {
    note_away(peer, item.id, item.reason, now);
  } else if (item.status == wire::Results::Status::retry) {
    note_attempt(peer, item.id, item.reason, now);
  } else if (item.status == wire::Results::Status::done && !away_log_.empty()) {
    const tracking::Delivery* delivery = table_.find(item.id);
    if (delivery != nullptr) away_log_.works(delivery->task, peer.name, now);
  }
}

void PipelineMachine::note_attempt(const Peer& peer, DeliveryId id, std::string_view reason,
                                   TimePoint now) {
  const tracking::Delivery* delivery = table_.find(id);
  if (delivery == nullptr || delivery->state != tracking::DeliveryState::in_flight) return;
  attempt_log_.add({delivery->task, delivery->attempt, peer.name, reason}, topology_.graph, now,
                   notices_);
}

/// Of a task that was fused, without a delivery of its own until now.
void PipelineMachine::note_fused_failure(const wire::Results::Output& output, std::uint32_t worker,
                                         TimePoint now) {
  const TaskId task = topology_.graph.edge(output.edge).to;
  const tracking::Tracker::Failure& failure = fused_failures_[output.failure];
  const std::string& name = scheduler_.worker_name(worker);
  if (failure.is_away) {
    away_log_.waits(task, name, failure.reason, now, topology_.graph, notices_);
  } else if (!failure.permanent) {
    attempt_log_.add({task, 1, name, failure.reason}, topology_.graph, now, notices_);
  }
}

void PipelineMachine::note_away(const Peer& peer, DeliveryId id, std::string_view cause,
                                TimePoint now) {
  const tracking::Delivery* delivery = table_.find(id);
  if (delivery == nullptr || delivery->state != tracking::DeliveryState::in_flight) return;
  away_log_.waits(delivery->task, peer.name, cause, now, topology_.graph, notices_);
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
    if (failed) note_fused_failure(output, worker, now);
    outputs_.push_back({output.output, tracking::Payload::take(output.key, output.payload, frame),
                        output.edge, failed ? &fused_failures_[output.failure] : nullptr});
  }
  tracker_.acknowledge(item.id, worker, outputs_, now);
}

void PipelineMachine::send_window(const Peer& peer, std::uint64_t messages, std::uint64_t bytes,
                                  TimePoint now) {
  send(peer.id, wire::Window{messages, bytes}, now);
}

}  // namespace tempest::pipeline_node
