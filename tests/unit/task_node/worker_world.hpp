#pragma once

#include <algorithm>
#include <cassert>
#include <catch2/catch.hpp>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "task_node/task_machine.hpp"
#include "tempest/link/server.hpp"
#include "tempest/registry/directory.hpp"
#include "tempest/wire/codec.hpp"

namespace tempest::task_node {

/// Whoever accepts the worker's links: the end of one, and what it was told.
class Accepter {
 public:
  Accepter(Role role, std::string name, std::uint64_t life)
      : identity{role, std::move(name), {life, life}, "words"}, server_(identity, {}) {}
  virtual ~Accepter() = default;

  link::Identity identity;
  /// Frames to and from it vanish.
  bool cut_off = false;
  std::optional<PeerId> worker;
  std::vector<std::string> lost;

  void receive(std::string_view routing_id, const SharedBytes& frame, TimePoint now) {
    if (cut_off) return;
    server_.receive(routing_id, frame.view(), now, output_);
    take_events(now);
  }
  void turn(TimePoint now) {
    server_.turn(now, output_);
    take_events(now);
  }
  std::vector<link::Outgoing> take_frames() {
    auto frames = std::exchange(output_.frames, {});
    if (cut_off) frames.clear();
    return frames;
  }

  template <typename Body>
  void send(const Body& body, TimePoint now) {
    send_raw(wire::kKindOf<Body>, wire::data_frame(body), now);
  }
  void send_raw(wire::BodyKind kind, std::string frame, TimePoint now) {
    assert(worker);
    server_.send(*worker, kind, std::move(frame), now, output_);
  }

 protected:
  virtual void came_up(TimePoint /*now*/) {}
  virtual void take_body(wire::BodyKind kind, std::string_view body, TimePoint now) = 0;

 private:
  void take_events(TimePoint now) {
    for (const link::Event& event : std::exchange(output_.events, {})) {
      switch (event.kind) {
        case link::Event::Kind::up:
          worker = event.peer;
          came_up(now);
          break;
        case link::Event::Kind::body:
          take_body(event.body_kind, event.body, now);
          break;
        case link::Event::Kind::lost:
          lost.push_back(link::to_string(event.reason));
          if (worker == event.peer) worker.reset();
          break;
        case link::Event::Kind::refused:
          break;
      }
    }
  }

  link::Server server_;
  link::Output output_;
};

class FakeBroker : public Accepter {
 public:
  FakeBroker() : Accepter(Role::broker, "broker", 7) { directory.topology = "words"; }

  registry::Directory directory;
  registry::Registration registration;

  void publish(TimePoint now) {
    if (worker) send(registry::view_of(directory, ++revision_), now);
  }

 private:
  void take_body(wire::BodyKind kind, std::string_view body, TimePoint now) override {
    wire::Registration decoded;
    if (kind != wire::BodyKind::registration || !wire::decode(body, decoded)) return;
    const bool first = revision_ == 0;
    registration = registry::own(decoded);
    if (first) publish(now);
  }

  std::uint64_t revision_ = 0;
};

/// One message for the worker.
struct Sent {
  std::uint32_t slot = 0;
  std::uint16_t task = 0;
  std::string payload;
  std::string key;
  bool alone = false;
  bool traced = false;
};

struct Answer {
  wire::Results::Status status{};
  std::string reason;
  std::vector<std::string> outputs;
  std::uint64_t time_ms = 0;
  std::uint32_t handled_us = 0;
};

class FakeCoordinator : public Accepter {
 public:
  FakeCoordinator(std::string name, std::uint64_t life)
      : Accepter(Role::pipeline, std::move(name), life) {}

  std::optional<std::string> attached_version;
  std::vector<TaskId> attached_tasks;
  std::vector<wire::Window> windows;
  /// By slot of the delivery.
  std::map<std::uint32_t, std::vector<Answer>> results;
  std::size_t result_frames = 0;
  std::vector<wire::Results::Fused> fused;

  void deliver(const std::vector<Sent>& messages, TimePoint now) {
    wire::Deliveries deliveries;
    for (const Sent& message : messages) {
      const auto first = static_cast<std::uint32_t>(deliveries.parts.size());
      deliveries.parts.push_back({kNoEdge, message.key, message.payload});
      deliveries.items.push_back({DeliveryId{message.slot, 1}, TaskId{message.task}, 1, first, 1,
                                  message.alone, message.traced});
    }
    send(deliveries, now);
  }
  std::size_t count(wire::Results::Status status) const {
    std::size_t count = 0;
    for (const auto& [slot, given] : results) {
      for (const Answer& result : given) count += result.status == status ? 1 : 0;
    }
    return count;
  }

 private:
  void came_up(TimePoint /*now*/) override {
    attached_version.reset();
    windows.clear();
  }
  void take_body(wire::BodyKind kind, std::string_view body, TimePoint /*now*/) override {
    if (kind == wire::BodyKind::attach) {
      wire::Attach attach;
      if (!wire::decode(body, attach)) return;
      attached_version = attach.topology_version;
      attached_tasks = attach.tasks;
      windows.push_back({attach.window_messages, attach.window_bytes, attach.window_batch});
    } else if (kind == wire::BodyKind::window) {
      wire::Window window;
      if (wire::decode(body, window)) windows.push_back(window);
    } else if (kind == wire::BodyKind::results) {
      take_results(body);
    }
  }
  void take_results(std::string_view body) {
    wire::Results decoded;
    if (!wire::decode(body, decoded)) return;
    ++result_frames;
    fused.insert(fused.end(), decoded.fused.begin(), decoded.fused.end());
    for (const auto& item : decoded.items) {
      Answer result{
          item.status, std::string(item.reason), {}, item.retry_after_ms, item.handled_us};
      for (std::uint32_t i = 0; i < item.output_count; ++i) {
        result.outputs.emplace_back(decoded.outputs[item.first_output + i].payload);
      }
      results[item.id.slot].push_back(std::move(result));
    }
  }
};

/// A worker's machine, a broker, coordinators at endpoints, and a clock of their own. Handler
/// threads are played by the test: what they were given waits in `running`.
class World {
 public:
  explicit World(std::size_t threads = 2, Duration drain_timeout = std::chrono::seconds(8))
      : machine({Role::task, "worker", {1, 1}, "words"}, {"broker"}, {},
                {.threads = threads, .drain_timeout = drain_timeout}, 1) {
    served = {{TaskId{0}, "split", false, 0}, {TaskId{1}, "count", true, 0}};
    machine.start(now, effects);
  }

  TaskMachine machine;
  FakeBroker broker;
  std::map<std::string, std::unique_ptr<FakeCoordinator>> coordinators;  ///< By endpoint.
  std::vector<ServedTask> served;
  TimePoint now{std::chrono::seconds(1)};
  std::vector<std::unique_ptr<Execution>> running;
  std::vector<BuildRequest> builds;
  std::vector<std::size_t> replaced;  ///< Threads given up, in their order.
  std::set<link::ChannelId> open_channels;
  std::vector<std::string> errors;
  std::vector<std::string> warnings;
  std::vector<wire::Sightings> sightings;
  bool finished = false;
  int exit_code = -1;

  /// A coordinator that lives at an endpoint and is listed, in place of what was there.
  FakeCoordinator& add_coordinator(const std::string& name, std::uint64_t life,
                                   const std::string& endpoint, const std::string& version = "v1") {
    broker.directory.topology_version = version;
    broker.directory.topology_text = "text of " + version;
    unlist(name);
    broker.directory.coordinators.push_back({name, {life, life}, endpoint, version});
    coordinators[endpoint] = std::make_unique<FakeCoordinator>(name, life);
    broker.publish(now);
    return *coordinators[endpoint];
  }
  void unlist(const std::string& name) {
    std::erase_if(broker.directory.coordinators,
                  [&](const auto& coordinator) { return coordinator.name == name; });
  }

  /// A worker that is attached to one coordinator.
  FakeCoordinator& serve() {
    FakeCoordinator& coordinator = add_coordinator("pipeline", 11, "tcp://a");
    settle();
    build();
    settle();
    return coordinator;
  }
  /// Answers what was asked to be built.
  void build(std::optional<Error> error = std::nullopt) {
    for (const BuildRequest& request : std::exchange(builds, {})) {
      machine.built({request.version, error, served}, now, effects);
    }
  }

  /// Until nobody has anything more to say at this moment.
  void settle() {
    for (int quiet = 0; quiet < 2;) {
      quiet = turn() ? 0 : quiet + 1;
    }
  }
  void advance(Duration duration) {
    const TimePoint end = now + duration;
    while (now < end) {
      now = std::min(end, now + std::chrono::milliseconds(10));
      settle();
    }
  }

  /// The thread that has this one comes to its next `count` deliveries, and is at the last of them.
  void begin(std::size_t index, std::size_t count) {
    Execution& execution = *running[index];
    execution.started_at = now;
    execution.outcomes.resize(execution.deliveries.size());
    for (std::size_t i = 0; i < count; ++i) REQUIRE(execution.claim(1));
  }
  /// What the machine believes a thread is at.
  Execution* at_thread(std::size_t thread) {
    for (const auto& execution : running) {
      if (execution->thread == thread) return execution.get();
    }
    return nullptr;
  }

  /// The thread that has this one finishes it: what it may begin is done, each taking `each`.
  void finish(std::size_t index, Duration each = std::chrono::microseconds(100),
              const std::string& output = {}) {
    auto execution = std::move(running[index]);
    running.erase(running.begin() + static_cast<std::ptrdiff_t>(index));
    execution->started_at = now;
    execution->outcomes.resize(execution->deliveries.size());
    const std::size_t begun = execution->begun();
    while (execution->begun() < execution->deliveries.size() && execution->claim(1)) {
    }
    const std::size_t count = execution->begun();
    execution->handle_time = each * static_cast<std::int64_t>(count);
    for (std::size_t i = begun == 0 ? 0 : begun - 1; i < count; ++i) {
      Outcome& outcome = execution->outcomes[i];
      if (execution->deliveries[i].item->traced) {
        outcome.handled_us = static_cast<std::uint32_t>(each / std::chrono::microseconds(1));
      }
      if (!output.empty()) {
        outcome.first_output = static_cast<std::uint32_t>(execution->outputs.size());
        outcome.output_count = 1;
        Emitted& emitted = execution->outputs.emplace_back();
        emitted.delivery = static_cast<std::uint32_t>(i);
        emitted.from = execution->task;
        emitted.payload_bytes = static_cast<std::uint32_t>(output.size());
        emitted.at = execution->arena.keep(output).data();
      }
    }
    machine.completed(std::move(execution), now, effects);
  }
  /// Until nothing waits and nothing runs. Returns how many deliveries each thread had.
  std::map<std::size_t, std::size_t> finish_all(Duration each = std::chrono::microseconds(100)) {
    std::map<std::size_t, std::size_t> shares;
    settle();
    while (!running.empty()) {
      shares[running.front()->thread] += running.front()->deliveries.size();
      finish(0, each);
      settle();
    }
    return shares;
  }

  double number(const std::string& name, const std::string& label_value = {}) const {
    wire::StatsReport report;
    machine.report(report);
    for (const auto& number : report.numbers) {
      const bool fits = label_value.empty() ||
                        std::any_of(number.labels.begin(), number.labels.end(),
                                    [&](const auto& label) { return label.value == label_value; });
      if (number.name == name && fits) return number.value;
    }
    return -1;
  }

  link::Effects effects;

 private:
  Accepter* at(const std::string& endpoint) {
    if (endpoint == "broker") return &broker;
    const auto found = coordinators.find(endpoint);
    return found == coordinators.end() ? nullptr : found->second.get();
  }

  /// Whether anything was said.
  bool turn() {
    Work work;
    machine.turn(now, effects, work);
    for (auto& execution : work.executions) running.push_back(std::move(execution));
    replaced.insert(replaced.end(), work.replacements.begin(), work.replacements.end());
    if (work.build) builds.push_back(*work.build);
    bool spoken = !effects.sends.empty();
    carry_out();
    for (const auto& [channel, endpoint] : endpoints_) {
      Accepter* accepter = at(endpoint);
      if (accepter == nullptr) continue;
      accepter->turn(now);
      for (link::Outgoing& outgoing : accepter->take_frames()) {
        spoken = true;
        // As a ROUTER: to the channel that the frame is for, if it is still there.
        const link::ChannelId to{
            static_cast<std::uint32_t>(std::stoul(outgoing.routing_id.substr(7)))};
        if (!open_channels.contains(to) || endpoints_.at(to) != endpoint) continue;
        machine.receive({to, {}, outgoing.frame}, now, effects);
      }
    }
    carry_out();
    return spoken;
  }

  void carry_out() {
    for (const auto& open : std::exchange(effects.opens, {})) {
      endpoints_[open.channel] = open.endpoint;
      open_channels.insert(open.channel);
    }
    for (const auto& send : std::exchange(effects.sends, {})) {
      if (!open_channels.contains(send.channel)) continue;
      if (Accepter* accepter = at(endpoints_.at(send.channel))) {
        const auto number = static_cast<std::uint32_t>(send.channel);
        accepter->receive("worker#" + std::to_string(number), send.frame, now);
      }
    }
    for (const auto channel : std::exchange(effects.closes, {})) open_channels.erase(channel);
    for (const auto& publication : std::exchange(effects.publications, {})) {
      if (!wire::decode(publication.body, sightings.emplace_back())) sightings.pop_back();
    }
    for (const auto& notice : std::exchange(effects.notices, {})) {
      if (notice.level == link::Notice::Level::error) errors.push_back(notice.text);
      if (notice.level == link::Notice::Level::warning) warnings.push_back(notice.text);
    }
    if (effects.finished) {
      finished = true;
      exit_code = effects.exit_code;
    }
  }

  std::map<link::ChannelId, std::string> endpoints_;
};

inline std::vector<Sent> messages(std::uint32_t count, std::uint16_t task = 0,
                                  std::uint32_t first_slot = 0) {
  std::vector<Sent> sent;
  for (std::uint32_t i = 0; i < count; ++i) {
    sent.push_back({first_slot + i, task, "payload " + std::to_string(first_slot + i), {}});
  }
  return sent;
}

}  // namespace tempest::task_node
