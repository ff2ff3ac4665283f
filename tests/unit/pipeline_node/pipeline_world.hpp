#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "pipeline_node/pipeline_machine.hpp"
#include "tempest/link/client.hpp"
#include "tempest/runtime/topology_file.hpp"
#include "tempest/wire/codec.hpp"

/// A coordinator among a broker, sources and workers that a test plays; frames go from memory to
/// memory, and time passes when the test says so.
namespace tempest::pipeline_node {

inline Topology topology_of(const std::string& text) {
  std::vector<runtime::Diagnostic> diagnostics;
  auto topology = runtime::parse_topology(text, "Topology.toml", diagnostics);
  if (!topology) throw std::runtime_error(runtime::joined(diagnostics));
  return std::move(*topology);
}

/// "a, b after a, ..." is written as TOML by the tests themselves; this is the part they share.
inline std::string with_source(const std::string& tasks) {
  return "name = \"t\"\n[source]\ntype = \"generator\"\n" + tasks;
}

/// A source or a worker, as far as the coordinator can tell.
class Peer {
 public:
  Peer(Role role, std::string name, std::uint64_t life = 1)
      : client_({role, name, Incarnation{hash_of(name), life}, "t"}, {}, hash_of(name) + life),
        routing_id(name + "#" + std::to_string(life)) {}

  template <typename Body>
  void send(const Body& body, TimePoint now) {
    client_.send(wire::kKindOf<Body>, wire::data_frame(body), now, output);
  }
  void send_garbage(wire::BodyKind kind, TimePoint now) {
    std::string frame;
    wire::begin_data(kind, frame);
    frame += "\xc1 garbage";
    client_.send(kind, std::move(frame), now, output);
  }

  void receive(const SharedBytes& frame, TimePoint now) {
    client_.receive(frame.view(), now, output);
    take_events(frame);
  }
  void turn(TimePoint now) {
    client_.turn(now, output);
    take_events({});
  }
  void leave(TimePoint now) { client_.close("test", now, output); }
  bool is_up() const { return client_.is_up(); }
  bool all_confirmed() const { return client_.all_confirmed(); }

  // --- What a source has heard ---
  std::vector<MessageId> acked;
  std::vector<MessageId> returned;
  struct Failed {
    MessageId id;
    wire::FailureKind kind;
    std::string task;
    std::uint32_t attempts;
    std::string worker;
    std::string reason;
    std::string payload;
  };
  std::vector<Failed> failed;
  std::optional<wire::Window> window;

  // --- What a worker was given ---
  struct Delivery {
    DeliveryId id;
    TaskId task;
    std::uint32_t attempt;
    std::vector<std::string> payloads;
    bool alone;
  };
  std::deque<Delivery> deliveries;
  std::size_t delivery_frames = 0;

  link::Output output;
  bool silent = false;  ///< Nothing goes to it or comes from it.
  int ups = 0;

 private:
  static std::uint64_t hash_of(const std::string& name) {
    return std::hash<std::string>{}(name) | 1;
  }

  void take_events(const SharedBytes&) {
    for (const link::Event& event : output.events) {
      if (event.kind == link::Event::Kind::up) ++ups;
      if (event.kind == link::Event::Kind::body) take_body(event);
    }
    output.events.clear();
  }

  void take_body(const link::Event& event) {
    if (event.body_kind == wire::BodyKind::window) {
      wire::Window told;
      if (wire::decode(event.body, told)) window = told;
    } else if (event.body_kind == wire::BodyKind::outcomes) {
      wire::Outcomes outcomes;
      if (!wire::decode(event.body, outcomes)) return;
      acked.insert(acked.end(), outcomes.acked.begin(), outcomes.acked.end());
      returned.insert(returned.end(), outcomes.returned.begin(), outcomes.returned.end());
      for (const auto& one : outcomes.failed) {
        failed.push_back({one.id, one.kind, std::string(one.task), one.attempts,
                          std::string(one.worker), std::string(one.reason),
                          std::string(one.payload)});
      }
    } else if (event.body_kind == wire::BodyKind::deliveries) {
      wire::Deliveries given;
      if (!wire::decode(event.body, given)) return;
      ++delivery_frames;
      for (const auto& item : given.items) {
        Delivery delivery{item.id, item.task, item.attempt, {}, item.alone};
        for (std::uint32_t i = 0; i < item.part_count; ++i) {
          delivery.payloads.emplace_back(given.parts[item.first_part + i].payload);
        }
        deliveries.push_back(std::move(delivery));
      }
    }
  }

  link::Client client_;

 public:
  const std::string routing_id;
};

class World {
 public:
  explicit World(const std::string& tasks, PipelineSettings settings = {})
      : topology(topology_of(with_source(tasks))) {
    settings.endpoint = "inproc://pipeline";
    machine = std::make_unique<PipelineMachine>(
        link::Identity{Role::pipeline, "pipeline", Incarnation{7, 7}, "t"}, std::move(settings),
        topology, 1);
    machine->start(now, effects);
  }

  Peer& add_source(const std::string& name, std::uint64_t life = 1) {
    Peer& peer = add(Role::source, name, life);
    peer.send(wire::Attach{topology.version, {}, 0, 0}, now);
    run();
    return peer;
  }

  Peer& add_worker(const std::string& name, std::uint64_t window = 1000,
                   std::vector<TaskId> tasks = {}, std::uint64_t life = 1) {
    Peer& peer = add(Role::task, name, life);
    if (tasks.empty()) {
      for (std::size_t i = 0; i < topology.graph.task_count(); ++i) {
        tasks.push_back(TaskId{static_cast<std::uint16_t>(i)});
      }
    }
    peer.send(wire::Attach{topology.version, tasks, window, 1 << 20}, now);
    run();
    return peer;
  }

  /// Lets frames go back and forth until there are none.
  void run() {
    for (bool moved = true; moved;) {
      moved = false;
      machine->turn(now, effects);
      for (auto& peer : peers) {
        peer->turn(now);
        for (auto& outgoing : std::exchange(peer->output.frames, {})) {
          if (peer->silent) continue;
          moved = true;
          machine->receive({link::kListener, peer->routing_id, std::move(outgoing.frame)}, now,
                           effects);
        }
      }
      machine->turn(now, effects);
      for (auto& send : std::exchange(effects.sends, {})) {
        for (auto& peer : peers) {
          if (peer->routing_id != send.routing_id || peer->silent) continue;
          moved = true;
          peer->receive(send.frame, now);
        }
      }
    }
  }

  /// Time passes, in steps short enough for every timer.
  void pass(Duration duration) {
    const TimePoint until = now + duration;
    while (now < until) {
      now = std::min(until, now + std::chrono::milliseconds(10));
      run();
    }
  }

  void send(Peer& source, const std::vector<std::string>& payloads) {
    wire::Messages messages;
    for (const std::string& payload : payloads) {
      messages.items.push_back({MessageId{next_message++, 1}, {}, payload});
    }
    source.send(messages, now);
    run();
  }

  /// The worker is done with everything it was given, each with these outputs.
  void finish_all(Peer& worker, const std::vector<std::string>& outputs = {}) {
    wire::Results results;
    for (const auto& delivery : worker.deliveries) {
      results.items.push_back({delivery.id,
                               wire::Results::Status::done,
                               {},
                               0,
                               static_cast<std::uint32_t>(results.outputs.size()),
                               static_cast<std::uint32_t>(outputs.size())});
      for (const std::string& output : outputs) results.outputs.push_back({{}, {}, output});
    }
    worker.deliveries.clear();
    worker.send(results, now);
    run();
  }

  void answer(Peer& worker, DeliveryId id, wire::Results::Status status,
              std::string_view reason = {}) {
    wire::Results results;
    results.items.push_back({id, status, reason, 0, 0, 0});
    worker.send(results, now);
    run();
  }

  double number(const std::string& name) const {
    wire::StatsReport report;
    machine->report(now, report);
    for (const auto& number : report.numbers) {
      if (number.name == name) return number.value;
    }
    return -1;
  }

  Topology topology;
  TimePoint now{std::chrono::hours(1)};
  link::Effects effects;
  std::unique_ptr<PipelineMachine> machine;
  std::vector<std::unique_ptr<Peer>> peers;
  std::uint32_t next_message = 0;

 private:
  Peer& add(Role role, const std::string& name, std::uint64_t life) {
    peers.push_back(std::make_unique<Peer>(role, name, life));
    run();
    return *peers.back();
  }
};

}  // namespace tempest::pipeline_node
