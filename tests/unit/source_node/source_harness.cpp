#include "source_harness.hpp"

#include <algorithm>

#include "tempest/wire/codec.hpp"
#include "tempest/wire/failure_credit.hpp"

namespace tempest::source_node {

FakeCoordinator::FakeCoordinator(std::string its_name, std::string its_endpoint)
    : name(std::move(its_name)), endpoint(std::move(its_endpoint)) {
  restart();
}

void FakeCoordinator::restart() {
  link::Identity self{Role::pipeline, name, Incarnation{7, ++lives}, "test"};
  server = std::make_unique<link::Server>(self, link::Settings{});
  attached = false;
  received.clear();
}

void FakeCoordinator::receive(std::string_view frame, TimePoint now) {
  server->receive("source", frame, now, output);
  const auto events = std::exchange(output.events, {});
  for (const link::Event& event : events) {
    if (event.kind == link::Event::Kind::up) peer = event.peer;
    if (event.kind == link::Event::Kind::lost) attached = false;
    if (event.kind != link::Event::Kind::body) continue;
    if (event.body_kind == wire::BodyKind::attach) {
      attached = true;
      wire::Attach attach;
      if (wire::decode(event.body, attach)) failures_granted = attach.window_bytes;
      give_window(initial_window, 64ULL << 20, now);
    } else if (event.body_kind == wire::BodyKind::window) {
      wire::Window window;
      if (wire::decode(event.body, window)) failures_granted = window.bytes;
    } else if (event.body_kind == wire::BodyKind::messages) {
      wire::Messages messages;
      if (!wire::decode(event.body, messages)) continue;
      ++frames;
      for (const auto& item : messages.items) {
        received.push_back({item.id, std::string(item.key), std::string(item.payload)});
      }
      for (const auto& traced : messages.traced) {
        received[received.size() - messages.items.size() + traced.item].trace = traced.message;
      }
    }
  }
}

template <typename Body>
void FakeCoordinator::send(const Body& body, TimePoint now) {
  server->send(peer, wire::kKindOf<Body>, wire::data_frame(body), now, output);
}

void FakeCoordinator::give_window(std::uint64_t messages, std::uint64_t bytes, TimePoint now) {
  send(wire::Window{messages, bytes}, now);
}

void FakeCoordinator::ack(const std::vector<MessageId>& ids, TimePoint now) {
  wire::Outcomes outcomes;
  outcomes.acked = ids;
  send(outcomes, now);
}

void FakeCoordinator::ack_all(TimePoint now) {
  wire::Outcomes outcomes;
  for (const Received& message : received) outcomes.acked.push_back(message.id);
  received.clear();
  send(outcomes, now);
}

void FakeCoordinator::fail(MessageId id, wire::FailureKind kind, TimePoint now,
                           std::string_view payload) {
  wire::Outcomes outcomes;
  wire::Outcomes::Failed failed;
  failed.id = id;
  failed.kind = kind;
  failed.task = "count";
  failed.attempts = 3;
  failed.worker = "worker-1";
  failed.reason = "no such word";
  failed.payload = payload;
  failures_told += wire::failure_cost(failed.reason.size(), payload.size());
  outcomes.failed.push_back(failed);
  send(outcomes, now);
}

void FakeCoordinator::give_back(const std::vector<MessageId>& ids, TimePoint now) {
  wire::Outcomes outcomes;
  outcomes.returned = ids;
  send(outcomes, now);
}

std::vector<std::string> FakeCoordinator::payloads() const {
  std::vector<std::string> payloads;
  for (const Received& message : received) payloads.push_back(message.payload);
  return payloads;
}

Plan SourceHarness::default_plan() {
  Plan plan;
  plan.topology = "test";
  plan.version = "v1";
  plan.source.endpoint.type = "fake";
  plan.failure.backoff.jitter = 0;
  return plan;
}

SourceHarness::SourceHarness(Plan plan, bool exit_when_drained)
    : plans{{"first", std::move(plan)}},
      machine({.self = {Role::source, "source", Incarnation{1, 2}, "test"},
               .brokers = {"inproc://broker"},
               .link = {},
               .drain_timeout = std::chrono::seconds(5),
               .exit_when_drained = exit_when_drained,
               .seed = 42},
              [this](const std::string& text) -> Result<Plan> {
                const auto found = plans.find(text);
                if (found == plans.end()) return Error{ErrorCode::configuration, "bad", {}};
                return found->second;
              }),
      broker_({Role::broker, "broker", Incarnation{3, 4}, ""}, link::Settings{}) {
  machine.start(now, effects_);
}

FakeCoordinator& SourceHarness::add_coordinator(const std::string& name, std::uint64_t window) {
  auto& place = coordinators[name];
  place = std::make_unique<FakeCoordinator>(name, "inproc://" + name);
  place->initial_window = window;
  publish_directory();
  return *place;
}

void SourceHarness::set_plan(const std::string& text, Plan plan) {
  plans[text] = std::move(plan);
  topology_text = text;
  publish_directory();
}

void SourceHarness::publish_directory() {
  if (!broker_up_) return;
  wire::Directory directory;
  directory.revision = ++revision_;
  directory.topology = "test";
  directory.topology_version = topology_text;
  directory.topology_text = topology_text;
  for (const auto& [name, coordinator] : coordinators) {
    directory.coordinators.push_back(
        {name, Incarnation{7, coordinator->lives}, coordinator->endpoint, topology_text});
  }
  directory.watches = watches;
  broker_.send(broker_peer_, wire::BodyKind::directory, wire::data_frame(directory), now,
               broker_output_);
}

void SourceHarness::fill(std::size_t count, std::size_t payload_bytes) {
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint64_t number = next_message_++;
    std::string payload = std::to_string(number);
    if (payload.size() < payload_bytes) payload.resize(payload_bytes, '.');
    source.backlog.push_back({std::move(payload), SourceToken{0, number}});
  }
}

void SourceHarness::route(const link::Effects::Send& send) {
  if (send.channel == link::kFirstBroker) {
    broker_.receive("source", send.frame.view(), now, broker_output_);
    take_broker_events();
    return;
  }
  const auto name = channels_.find(send.channel);
  if (name == channels_.end()) return;
  const auto found = coordinators.find(name->second);
  if (found != coordinators.end()) found->second->receive(send.frame.view(), now);
}

void SourceHarness::take_broker_events() {
  const auto events = std::exchange(broker_output_.events, {});
  for (const link::Event& event : events) {
    if (event.kind != link::Event::Kind::up) continue;
    broker_peer_ = event.peer;
    broker_up_ = true;
    publish_directory();
  }
}

void SourceHarness::hear(link::ChannelId channel, link::Output& output) {
  const auto frames = std::exchange(output.frames, {});
  for (const link::Outgoing& outgoing : frames) {
    machine.receive({channel, {}, outgoing.frame}, now, effects_);
  }
}

void SourceHarness::exchange() {
  for (const auto& open : effects_.opens) {
    channels_[open.channel] = open.endpoint.substr(std::string("inproc://").size());
  }
  effects_.opens.clear();
  const auto sends = std::exchange(effects_.sends, {});
  for (const auto& send : sends) route(send);
  for (const auto channel : effects_.closes) channels_.erase(channel);
  effects_.closes.clear();
  for (const auto& notice : effects_.notices) notices.push_back(notice.text);
  effects_.notices.clear();
  for (const auto& publication : effects_.publications) {
    if (!wire::decode(publication.body, sightings.emplace_back())) sightings.pop_back();
  }
  effects_.publications.clear();
  finished = finished || effects_.finished;

  broker_.turn(now, broker_output_);
  hear(link::kFirstBroker, broker_output_);
  const auto channels = channels_;
  for (const auto& [channel, name] : channels) {
    const auto found = coordinators.find(name);
    if (found == coordinators.end()) continue;
    found->second->turn(now);
    hear(channel, found->second->output);
  }
  // What is said by a channel that is closed reaches nobody.
  for (auto& [name, coordinator] : coordinators) coordinator->output.frames.clear();
}

void SourceHarness::step() {
  bool moved = true;
  while (moved) {
    std::vector<Request> asked;
    machine.turn(now, effects_, asked);
    moved = !effects_.sends.empty() || !effects_.opens.empty() || !asked.empty() ||
            !broker_output_.frames.empty();
    for (const auto& [name, coordinator] : coordinators) {
      moved = moved || !coordinator->output.frames.empty();
    }
    for (Request& request : asked) requests.push_back(std::move(request));
    exchange();
  }
}

bool SourceHarness::serve_one() {
  if (requests.empty()) return false;
  Request request = std::move(requests.front());
  requests.pop_front();
  const Error gone{ErrorCode::unavailable, source.why_away, {}};
  if (std::holds_alternative<OpenRequest>(request)) {
    OpenDone done;
    ++source.opens;
    if (source.away) done.result = gone;
    done.finite = source.finite;
    done.gives_again = source.gives_again;
    done.tend_interval = source.tend_interval;
    machine.take(std::move(done), now, effects_);
  } else if (auto* poll = std::get_if<PollRequest>(&request)) {
    PollDone done;
    done.batch = std::move(poll->batch);
    source.polls.push_back({poll->max_messages, poll->wait});
    source.poll_times.push_back(now);
    if (source.away) {
      done.result = gone;
    } else {
      while (!source.backlog.empty() && done.batch.size() < poll->max_messages) {
        const FakeSource::Message& message = source.backlog.front();
        done.batch.add({.payload = message.payload,
                        .token = message.token,
                        .given_before = message.given_before});
        if (poll->with_names) done.names.push_back("no. " + std::to_string(message.token.low));
        source.backlog.pop_front();
      }
      if (source.blocks && done.batch.empty()) now += poll->wait;
      done.batch.ended = source.finite && source.backlog.empty() && !source.more_to_come;
      done.quiet_until = source.quiet_until;
    }
    machine.take(std::move(done), now, effects_);
  } else if (const auto* ack = std::get_if<AckRequest>(&request)) {
    AckDone done;
    if (source.away || source.acks_fail) {
      done.result = gone;
    } else {
      source.acked.insert(source.acked.end(), ack->tokens.begin(), ack->tokens.end());
      source.ack_batches.push_back(ack->tokens.size());
    }
    machine.take(std::move(done), now, effects_);
  } else if (const auto* letters = std::get_if<DeadLetterRequest>(&request)) {
    DeadLettersDone done;
    if (source.sink_away) {
      done.result = gone;
    } else {
      source.dead_letters.insert(source.dead_letters.end(), letters->letters->begin(),
                                 letters->letters->end());
    }
    machine.take(std::move(done), now, effects_);
  } else if (const auto* leave = std::get_if<LeaveRequest>(&request)) {
    auto& told = leave->untried ? source.given_back : source.left;
    told.insert(told.end(), leave->tokens.begin(), leave->tokens.end());
    machine.take(LeaveDone{}, now, effects_);
  } else if (std::holds_alternative<DrainedRequest>(request)) {
    ++source.drained_asked;
    machine.take(DrainedDone{source.away ? Result<bool>(gone) : source.drained}, now, effects_);
  } else if (std::holds_alternative<TendRequest>(request)) {
    source.tend_times.push_back(now);
    TendDone done;
    if (source.away) done.result = gone;
    machine.take(std::move(done), now, effects_);
  } else if (const auto* choose = std::get_if<ChooseRequest>(&request)) {
    source.asked.insert(source.asked.end(), choose->failed->begin(), choose->failed->end());
    ChooseDone done{std::vector<FailureChoice>(choose->failed->size(), source.choice),
                    source.handler_fault};
    machine.take(std::move(done), now, effects_);
  }
  return true;
}

void SourceHarness::run() {
  step();
  while (serve_one()) step();
}

void SourceHarness::pass(Duration time, Duration step_time) {
  const TimePoint end = now + time;
  while (now < end) {
    now += step_time;
    run();
  }
}

void SourceHarness::stop(bool at_once) {
  machine.stop(at_once, now, effects_);
}

bool SourceHarness::notified(const std::string& text) const {
  return std::any_of(notices.begin(), notices.end(), [&text](const std::string& notice) {
    return notice.find(text) != std::string::npos;
  });
}

}  // namespace tempest::source_node
