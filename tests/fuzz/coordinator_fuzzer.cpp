#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "input.hpp"
#include "pipeline_node/pipeline_machine.hpp"
#include "tempest/link/client.hpp"
#include "tempest/link/server.hpp"
#include "tempest/runtime/topology_file.hpp"
#include "tempest/wire/codec.hpp"

/// A coordinator with two sources and two workers, whose links work and who say on them whatever
/// the input says, and with a broker that lists what the input says.
///
/// Whatever is said: what the coordinator sends decodes and is of its topology, and a worker is
/// given nothing twice. As long as sources send each message once: each gets one outcome at the
/// most, and the coordinator holds no more than what is unresolved.
using namespace tempest;
using namespace tempest::link;
using fuzz::kSeedStep;
using fuzz::number_from;
using fuzz::require;

namespace {

constexpr const char* kTopology = R"(
name = "t"
[source]
type = "generator"
[[task]]
name = "first"
uses = "identity"
[[task]]
name = "keyed"
uses = "identity"
after = ["first"]
grouping = "key"
[[task]]
name = "late"
uses = "identity"
after = ["first:late"]
gather = "each"
timeout = "2s"
[[task]]
name = "last"
uses = "identity"
after = ["keyed", "late"]
gather = "all"
[failure]
timeout = "5s"
max_attempts = 2
backoff = { initial = "100ms", max = "1s" }
)";

const Topology& topology() {
  static const Topology parsed = [] {
    std::vector<runtime::Diagnostic> diagnostics;
    auto read = runtime::parse_topology(kTopology, "Topology.toml", diagnostics);
    require(read.has_value(), runtime::joined(diagnostics).c_str());
    return std::move(*read);
  }();
  return parsed;
}

constexpr std::size_t kPeers = 4;
constexpr std::array<Role, kPeers> kRoles = {Role::source, Role::task, Role::source, Role::task};
constexpr std::array<const char*, kPeers> kNames = {"s0", "w0", "s1", "w1"};

class World {
 public:
  World() {
    pipeline_node::PipelineSettings settings;
    settings.brokers = {"broker"};
    settings.endpoint = "pipeline";
    machine_ = std::make_unique<pipeline_node::PipelineMachine>(
        Identity{Role::pipeline, "pipeline", Incarnation{7, 7}, "t"}, std::move(settings),
        topology(), 1);
    machine_->start(now_, effects_);
    exchange();
    say_directory(1, {"w0", "w1"}, 1);
    exchange();
    fuzz::forget_coverage();
  }

  void step(fuzz::Input& input) {
    const std::size_t action = input.choice(14);
    const std::size_t i = input.choice(kPeers);
    switch (action) {
      case 0:
        pass(std::chrono::milliseconds(input.byte()));
        break;
      case 1:
        pass(std::chrono::milliseconds(input.word()));
        break;
      case 2:
      case 3:
        meet(i & 2U);
        send_messages(i & 2U, input);
        break;
      case 4:
      case 5:
      case 6:
        send_results(i | 1U, input);
        break;
      case 7:
        meet(i);
        say(i, wire::Window{number_from(input), number_from(input)});
        break;
      case 8:
        meet(i);
        attach(i, input);
        break;
      case 9:
        meet(i);
        say_anything(i, input);
        break;
      case 10:
        meet(i);
        peers_[i].client->close("test", now_, output_);
        take_from(i);
        break;
      case 11:
        begin_life(i);
        pass(std::chrono::milliseconds(0));
        break;
      case 12: {
        std::vector<std::string_view> workers;
        const std::size_t listed = input.choice(4);
        if ((listed & 1U) != 0) workers.push_back("w0");
        if ((listed & 2U) != 0) workers.push_back("w1");
        const std::uint64_t revision = input.byte();
        say_directory(revision, workers, input.byte());
        break;
      }
      case 13:
        if (input.choice(8) == 0) {
          machine_->stop(input.choice(2) == 0, now_, effects_);
        } else {
          raw_ = true;
          machine_->receive({kListener, kNames[i], SharedBytes(std::string(input.piece()))}, now_,
                            effects_);
        }
        break;
    }
    exchange();
    check();
  }

 private:
  struct Peer {
    std::unique_ptr<Client> client;  ///< Null before the input first mentions it.
    // A source's.
    std::set<MessageId> unresolved;
    std::uint32_t next_message = 0;
    bool made_up = false;  ///< Ids may have come twice.
    // A worker's.
    std::vector<DeliveryId> deliveries;
    std::set<DeliveryId> given;
  };

  /// The first time that the input mentions it: it comes up, as a worker of all tasks if it is one.
  void meet(std::size_t i) {
    if (peers_[i].client) return;
    begin_life(i);
    peers_[i].client->turn(now_, output_);
    take_from(i);
    exchange();
    if (kRoles[i] == Role::task) attach(i);
  }

  void begin_life(std::size_t i) {
    ++lives_;
    Peer& peer = peers_[i];
    peer = Peer{};
    peer.client =
        std::make_unique<Client>(Identity{kRoles[i], kNames[i], Incarnation{lives_, i}, "t"},
                                 link::Settings{}, kSeedStep * lives_);
  }

  template <typename Body>
  void say(std::size_t i, const Body& body) {
    peers_[i].client->send(wire::kKindOf<Body>, wire::data_frame(body), now_, output_);
    take_from(i);
  }

  void attach(std::size_t i) {
    wire::Attach attach;
    attach.topology_version = topology().version;
    attach.tasks = {TaskId{0}, TaskId{1}, TaskId{2}, TaskId{3}};
    attach.window_messages = 64;
    attach.window_bytes = 65'536;
    say(i, attach);
  }

  void attach(std::size_t i, fuzz::Input& input) {
    wire::Attach attach;
    attach.topology_version = input.choice(8) == 0 ? "other" : std::string_view(topology().version);
    attach.window_messages = number_from(input);
    attach.window_bytes = number_from(input);
    for (std::size_t n = input.choice(6); n > 0; --n) {
      attach.tasks.push_back(static_cast<TaskId>(input.byte()));
    }
    say(i, attach);
  }

  void send_messages(std::size_t i, fuzz::Input& input) {
    Peer& peer = peers_[i];
    if (!peer.client->is_up()) return;
    wire::Messages messages;
    const std::string_view payload = "payload";
    for (std::size_t n = input.choice(5); n > 0; --n) {
      const MessageId id{peer.next_message++, 1};
      messages.items.push_back({id, payload.substr(input.choice(3)), payload});
      peer.unresolved.insert(id);
    }
    say(i, messages);
  }

  void send_results(std::size_t i, fuzz::Input& input) {
    meet(i);
    Peer& peer = peers_[i];
    wire::Results results;
    for (std::size_t n = 1 + input.choice(4); n > 0 && !peer.deliveries.empty(); --n) {
      const std::size_t place = input.choice(peer.deliveries.size());
      wire::Results::Item item;
      item.id = peer.deliveries[place];
      item.status = static_cast<wire::Results::Status>(input.choice(6));
      const bool has_time = item.status == wire::Results::Status::retry ||
                            item.status == wire::Results::Status::extended;
      item.retry_after_ms = has_time ? number_from(input) : 0;
      item.first_output = static_cast<std::uint32_t>(results.outputs.size());
      if (item.status == wire::Results::Status::done) {
        for (std::size_t k = input.choice(4); k > 0; --k) {
          add_output(input, results);
          ++item.output_count;
        }
      }
      results.items.push_back(item);
      // Sometimes it is said again.
      if (input.choice(4) != 0) {
        peer.deliveries.erase(peer.deliveries.begin() + static_cast<std::ptrdiff_t>(place));
      }
    }
    say(i, results);
  }

  /// By a name, or of fused tasks: by an edge, and perhaps failed.
  static void add_output(fuzz::Input& input, wire::Results& results) {
    wire::Results::Output& output = results.outputs.emplace_back();
    output.output = input.choice(3) == 0 ? "late" : "";
    output.key = "key";
    output.payload = "output";
    if (input.choice(3) != 0) return;
    output.edge = static_cast<EdgeId>(input.choice(6));
    if (input.choice(2) == 0) return;
    output.failure = static_cast<std::uint32_t>(results.failures.size());
    const auto status =
        input.choice(2) == 0 ? wire::Results::Status::retry : wire::Results::Status::fail;
    results.failures.push_back({status, "fused, and failed", number_from(input)});
  }

  void say_anything(std::size_t i, fuzz::Input& input) {
    static constexpr std::array kKinds = {wire::BodyKind::attach, wire::BodyKind::window,
                                          wire::BodyKind::messages, wire::BodyKind::results,
                                          wire::BodyKind::outcomes};
    const wire::BodyKind kind = kKinds[input.choice(kKinds.size())];
    std::string frame;
    wire::begin_data(kind, frame);
    frame += input.piece();
    peers_[i].made_up = true;
    peers_[i].client->send(kind, std::move(frame), now_, output_);
    take_from(i);
  }

  void say_directory(std::uint64_t revision, const std::vector<std::string_view>& workers,
                     std::uint64_t settled) {
    if (!broker_peer_) return;
    wire::Directory directory;
    directory.topology = "t";
    directory.slots_revision = revision;
    directory.slots_settled = settled;
    for (const std::string_view name : workers) {
      directory.workers.push_back({name, Incarnation{}, {"first", "keyed", "late", "last"}});
    }
    broker_.send(*broker_peer_, wire::BodyKind::directory, wire::data_frame(directory), now_,
                 broker_output_);
  }

  void pass(Duration duration) {
    now_ += duration;
    for (std::size_t i = 0; i < kPeers; ++i) {
      if (!peers_[i].client) continue;
      peers_[i].client->turn(now_, output_);
      take_from(i);
    }
    broker_.turn(now_, broker_output_);
    exchange();
  }

  void take_from(std::size_t i) {
    // A session's end is seen at the coordinator's end of it as well, in this step.
    for (const Event& event : output_.events) {
      if (event.kind == Event::Kind::lost) forget_session(i);
    }
    output_.events.clear();
    for (const Outgoing& outgoing : std::exchange(output_.frames, {})) {
      machine_->receive({kListener, kNames[i], outgoing.frame}, now_, effects_);
    }
  }

  void forget_session(std::size_t i) {
    Peer& peer = peers_[i];
    peer.unresolved.clear();
    peer.deliveries.clear();
    peer.given.clear();
  }

  void exchange() {
    for (int round = 0; round < 3; ++round) {
      machine_->turn(now_, effects_);
      const auto sends = std::exchange(effects_.sends, {});
      effects_.opens.clear();
      effects_.closes.clear();
      effects_.notices.clear();
      if (sends.empty() && broker_output_.frames.empty()) return;
      for (const Effects::Send& send : sends) deliver(send);
      for (const Outgoing& outgoing : std::exchange(broker_output_.frames, {})) {
        machine_->receive({kFirstBroker, {}, outgoing.frame}, now_, effects_);
      }
    }
  }

  void deliver(const Effects::Send& send) {
    require(wire::peek_type(send.frame.view()).ok(), "the coordinator sends what is no frame");
    if (send.channel != kListener) {
      broker_.receive("pipeline", send.frame.view(), now_, broker_output_);
      for (const Event& event : broker_output_.events) {
        if (event.kind == Event::Kind::up) broker_peer_ = event.peer;
        if (event.kind == Event::Kind::lost) broker_peer_.reset();
      }
      broker_output_.events.clear();
      return;
    }
    for (std::size_t i = 0; i < kPeers; ++i) {
      if (send.routing_id != kNames[i] || !peers_[i].client) continue;
      peers_[i].client->receive(send.frame.view(), now_, output_);
      for (const Event& event : output_.events) {
        if (event.kind == Event::Kind::body) hear(i, event);
      }
      take_from(i);
    }
  }

  void hear(std::size_t i, const Event& event) {
    Peer& peer = peers_[i];
    if (event.body_kind == wire::BodyKind::outcomes) {
      wire::Outcomes outcomes;
      require(wire::decode(event.body, outcomes).ok(), "outcomes do not decode");
      for (const MessageId id : outcomes.acked) resolve(peer, id);
      for (const MessageId id : outcomes.returned) resolve(peer, id);
      for (const auto& failed : outcomes.failed) resolve(peer, failed.id);
    } else if (event.body_kind == wire::BodyKind::deliveries) {
      wire::Deliveries deliveries;
      require(wire::decode(event.body, deliveries).ok(), "deliveries do not decode");
      for (const auto& item : deliveries.items) {
        require(static_cast<std::size_t>(item.task) < topology().tasks.size(),
                "a delivery of no task");
        require(item.part_count > 0, "a delivery of nothing");
        require(item.attempt >= 1 && item.attempt <= topology().failure.max_attempts,
                "an attempt that may not be");
        require(peer.given.insert(item.id).second, "one attempt is handed out twice");
        peer.deliveries.push_back(item.id);
      }
    } else {
      wire::Window window;
      require(event.body_kind == wire::BodyKind::window && wire::decode(event.body, window).ok(),
              "the coordinator says what it may not");
    }
  }

  void resolve(Peer& peer, MessageId id) const {
    const bool known = peer.unresolved.erase(id) == 1;
    require(known || peer.made_up || raw_,
            "an outcome of a message that has one, or was never sent");
  }

  void check() {
    if (raw_) return;
    std::size_t unresolved = 0;
    for (const Peer& peer : peers_) {
      if (peer.made_up) return;
      unresolved += peer.unresolved.size();
    }
    require(machine_->tracker().trees_in_flight() <= unresolved,
            "the coordinator holds what is resolved");
  }

  TimePoint now_{std::chrono::hours(1)};
  std::unique_ptr<pipeline_node::PipelineMachine> machine_;
  std::array<Peer, kPeers> peers_;
  Server broker_{Identity{Role::broker, "broker", Incarnation{5, 5}, {}}, link::Settings{}};
  std::optional<PeerId> broker_peer_;
  Effects effects_;
  Output output_;
  Output broker_output_;
  std::uint64_t lives_ = 0;
  bool raw_ = false;  ///< A frame of no session we know was among what came.
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  World world;
  while (!input.empty()) world.step(input);
  return 0;
}
