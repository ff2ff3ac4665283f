#include "broker/broker_machine.hpp"

#include <algorithm>
#include <optional>
#include <tuple>

#include "tempest/wire/codec.hpp"

namespace tempest::broker {
namespace {

using Level = link::Notice::Level;

/// What one registered task name costs beyond its bytes, in memory and in frames.
constexpr std::size_t kTaskOverheadBytes = 40;
/// A definition's age is believed up to this, so that sums of times stay in range.
constexpr std::uint64_t kMaxAgeMs = 1000ULL * 3600 * 24 * 365;
/// A numbering that begins beyond this is no numbering.
constexpr std::uint64_t kMaxSlotsRevision = 1ULL << 48;
/// No node can know of so many more changes of the workers than the others do.
constexpr std::uint64_t kMaxSlotsJump = 1ULL << 20;

std::uint64_t milliseconds(Duration duration) {
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(duration).count());
}

std::size_t bytes_of(const wire::Registration& registration) {
  std::size_t bytes = registration.endpoint.size() + registration.topology_version.size() +
                      registration.topology_text.size() + registration.state.size();
  for (const std::string_view task : registration.tasks) bytes += task.size() + kTaskOverheadBytes;
  return bytes;
}

std::size_t bytes_of(const wire::SlotSettlement& settlement) {
  std::size_t bytes = 0;
  for (const auto& held : settlement.held) bytes += held.task.size() + held.slots.size();
  for (const auto& worker : settlement.attached) {
    bytes += worker.name.size() + sizeof worker.incarnation;
    for (const std::string_view task : worker.tasks) bytes += task.size() + kTaskOverheadBytes;
  }
  for (const auto& missing : settlement.missing) {
    bytes += missing.name.size() + sizeof missing.incarnation;
  }
  return bytes;
}

bool gets_directories(Role role) {
  return role == Role::source || role == Role::pipeline || role == Role::task;
}

std::vector<link::Field> fields_of(const link::Identity& identity) {
  std::vector<link::Field> fields{{"role", to_string(identity.role)}};
  if (!identity.topology.empty()) fields.emplace_back("topology", identity.topology);
  return fields;
}

}  // namespace

BrokerMachine::BrokerMachine(link::Identity self, const link::Settings& settings)
    : self_(std::move(self)), grace_(2 * settings.lease), server_(self_, settings) {}

void BrokerMachine::start(TimePoint now) {
  started_ = now;
}

void BrokerMachine::receive(const link::FrameReceived& received, TimePoint now,
                            link::Effects& effects) {
  if (received.channel != link::kListener) return;
  server_.receive(received.routing_id, received.frame.view(), now, output_);
  carry_out(output_, now, effects);
}

void BrokerMachine::turn(TimePoint now, link::Effects& effects) {
  server_.turn(now, output_);
  carry_out(output_, now, effects);
  for (auto& [name, topology] : topologies_) {
    // The end of the withholding is a change too.
    if (topology.known_before && now >= topology.all_back_at) {
      topology.known_before = false;
      topology.dirty = true;
    }
    if (std::exchange(topology.dirty, false)) refresh(name, topology, now);
  }
  send_directories(now);
  carry_out(output_, now, effects);
}

TimePoint BrokerMachine::next_turn() const {
  TimePoint next = server_.next_turn();
  for (const auto& [name, topology] : topologies_) {
    if (topology.known_before) next = std::min(next, topology.all_back_at);
  }
  return next;
}

void BrokerMachine::stop(TimePoint now, link::Effects& effects) {
  server_.close("broker stops", now, output_);
  carry_out(output_, now, effects);
  effects.finished = true;
}

void BrokerMachine::carry_out(link::Output& output, TimePoint now, link::Effects& effects) {
  // Answering an event adds to `output`, so events are taken by place, and frames last.
  for (std::size_t i = 0; i < output.events.size(); ++i) {
    const link::Event event = output.events[i];
    switch (event.kind) {
      case link::Event::Kind::up:
        came_up(event, now, effects);
        break;
      case link::Event::Kind::lost:
        went_away(event, effects);
        break;
      case link::Event::Kind::body:
        hear(event, now, effects);
        break;
      case link::Event::Kind::refused:
        effects.notify(Level::warning, "refused a node: " + *event.text,
                       fields_of(*event.identity));
        break;
    }
  }
  for (link::Outgoing& outgoing : output.frames) {
    effects.sends.push_back(
        {link::kListener, std::move(outgoing.routing_id), std::move(outgoing.frame)});
  }
  output.frames.clear();
  output.events.clear();
}

void BrokerMachine::came_up(const link::Event& event, TimePoint now, link::Effects& effects) {
  Session session;
  session.identity = *event.identity;
  session.since = now;
  const auto displaced = displaced_.find({session.identity.role, session.identity.name});
  // A restart takes the place of the life before it, once; two live nodes go back and forth.
  if (displaced != displaced_.end() && displaced->second.before == session.identity.incarnation &&
      displaced->second.last != session.identity.incarnation) {
    effects.notify(Level::warning,
                   "two live nodes are both named " + session.identity.name +
                       " and keep taking each other's place: give one another --name",
                   fields_of(session.identity));
  }
  sessions_.insert_or_assign(event.peer, std::move(session));
}

void BrokerMachine::went_away(const link::Event& event, link::Effects& effects) {
  const auto found = sessions_.find(event.peer);
  if (found == sessions_.end()) return;
  const Session session = std::move(found->second);
  sessions_.erase(found);
  registered_bytes_ -= session.registered_bytes + session.slots_bytes;
  leave(session, event.peer);
  if (session.watch) watches_changed(*session.watch);

  const std::pair<Role, std::string> key{session.identity.role, session.identity.name};
  if (event.reason == link::LostReason::incarnation) {
    Displaced& displaced = displaced_[key];
    displaced = {session.identity.incarnation, displaced.last};
  } else {
    displaced_.erase(key);
  }
  if (session.identity.role == Role::operator_ || !session.registered) return;
  auto fields = fields_of(session.identity);
  fields.emplace_back("reason", to_string(event.reason));
  const bool orderly =
      event.reason == link::LostReason::left || event.reason == link::LostReason::closed;
  effects.notify(orderly ? Level::info : Level::warning,
                 session.identity.name + (orderly ? " has left" : " is lost"), std::move(fields));
}

void BrokerMachine::hear(const link::Event& event, TimePoint now, link::Effects& effects) {
  Result<void> decoded;
  switch (event.body_kind) {
    case wire::BodyKind::registration: {
      wire::Registration registration;
      decoded = wire::decode(event.body, registration);
      if (decoded) register_node(event.peer, registration, now, effects);
      break;
    }
    case wire::BodyKind::slot_settlement: {
      wire::SlotSettlement settlement;
      decoded = wire::decode(event.body, settlement);
      if (decoded) decoded = settle(event.peer, settlement, effects);
      break;
    }
    case wire::BodyKind::query: {
      wire::Query query;
      decoded = wire::decode(event.body, query);
      if (decoded) answer(event.peer, query, now);
      break;
    }
    case wire::BodyKind::watch: {
      wire::Watch wanted;
      decoded = wire::decode(event.body, wanted);
      if (decoded) decoded = watch(event.peer, std::move(wanted));
      break;
    }
    default:
      decoded = Error{ErrorCode::protocol, "not for a broker"};
  }
  if (decoded) return;
  ++counters_.malformed_bodies;
  effects.notify(Level::warning,
                 "gave a session up for what came in it: " + decoded.error().message);
  server_.reset(event.peer, output_);
}

void BrokerMachine::register_node(PeerId peer, const wire::Registration& said, TimePoint now,
                                  link::Effects& effects) {
  const auto found = sessions_.find(peer);
  if (found == sessions_.end()) return;
  Session& session = found->second;
  const std::size_t bytes = bytes_of(said);
  if (registered_bytes_ - session.registered_bytes + bytes > kMaxRegisteredBytes) {
    ++counters_.registrations_refused;
    effects.notify(Level::error,
                   session.identity.name + " is not registered: there is too much here already",
                   fields_of(session.identity));
    return;
  }
  ++counters_.registrations;
  registered_bytes_ += bytes - session.registered_bytes;
  session.registered_bytes = bytes;

  const bool first = !session.registered;
  registry::Registration registration = registry::own(said);
  if (first || registration.topology_version != session.registration.topology_version) {
    session.definition_since =
        now - std::chrono::milliseconds(std::min<std::uint64_t>(said.age_ms, kMaxAgeMs));
  }
  session.registration = std::move(registration);
  session.registered = true;
  join(session, peer, said, first, now);
  if (!first) return;
  auto fields = fields_of(session.identity);
  if (!said.endpoint.empty()) fields.emplace_back("endpoint", said.endpoint);
  effects.notify(Level::info, session.identity.name + " has registered", std::move(fields));
}

void BrokerMachine::join(Session& session, PeerId peer, const wire::Registration& said, bool first,
                         TimePoint now) {
  if (session.identity.topology.empty() || !gets_directories(session.identity.role)) return;
  const auto [place, is_new] = topologies_.try_emplace(session.identity.topology);
  Topology& topology = place->second;
  if (is_new) topology.all_back_at = now + grace_;
  topology.nodes.insert_or_assign({session.identity.role, session.identity.name}, peer);
  topology.dirty = true;

  // Where others are known already nobody can know of much more than they.
  const std::uint64_t most =
      now < topology.all_back_at ? kMaxSlotsRevision : topology.slots_revision + kMaxSlotsJump;
  const bool has_past =
      said.slots_revision > 0 && said.slots_revision <= std::min(most, kMaxSlotsRevision);
  if (has_past) {
    topology.slots_revision = std::max(topology.slots_revision, said.slots_revision);
    if (now < topology.all_back_at) topology.known_before = true;
  }
  // A coordinator without a past has nothing in flight on anybody's slots.
  if (first && session.identity.role == Role::pipeline) session.starts_settled = !has_past;
}

void BrokerMachine::leave(const Session& session, PeerId peer) {
  const auto topology = topologies_.find(session.identity.topology);
  if (topology == topologies_.end()) return;
  auto& nodes = topology->second.nodes;
  const auto node = nodes.find({session.identity.role, session.identity.name});
  if (node == nodes.end() || node->second != peer) return;
  nodes.erase(node);
  topology->second.dirty = true;
  if (nodes.empty()) topologies_.erase(topology);
}

Result<void> BrokerMachine::settle(PeerId peer, const wire::SlotSettlement& settlement,
                                   link::Effects& effects) {
  const auto found = sessions_.find(peer);
  if (found == sessions_.end() || found->second.identity.role != Role::pipeline) return {};
  for (const wire::SlotSettlement::Held& held : settlement.held) {
    if (held.slots.size() != kKeySlots / 8) {
      return Error{ErrorCode::protocol, "held key slots of another number"};
    }
  }
  Session& session = found->second;
  const std::size_t bytes = bytes_of(settlement);
  if (registered_bytes_ - session.slots_bytes + bytes > kMaxRegisteredBytes) {
    ++counters_.registrations_refused;
    effects.notify(Level::error,
                   "what " + session.identity.name +
                       " says of its key slots is not taken: there is too much here already",
                   fields_of(session.identity));
    return {};
  }
  registered_bytes_ += bytes - session.slots_bytes;
  session.slots_bytes = bytes;
  session.slots = registry::own(settlement);
  session.settled = std::max(session.settled, settlement.slots_revision);
  const auto topology = topologies_.find(session.identity.topology);
  if (topology != topologies_.end()) topology->second.dirty = true;
  return {};
}

void BrokerMachine::answer(PeerId peer, const wire::Query& query, TimePoint now) {
  ++counters_.queries;
  // Who asks without reading the answers gets no more of them, so that none pile up here.
  if (!server_.can_send(peer)) {
    ++counters_.queries_dropped;
    return;
  }
  wire::Snapshot snapshot;
  snapshot.id = query.id;
  if (query.what == "nodes") {
    wire::Snapshot::Node self;
    self.role = Role::broker;
    self.name = self_.name;
    self.incarnation = self_.incarnation;
    self.state = "running";
    self.age_ms = milliseconds(now - started_);
    snapshot.nodes.push_back(self);
    for (const auto& [id, session] : sessions_) {
      if (!session.registered) continue;
      if (!query.topology.empty() && query.topology != session.identity.topology) continue;
      const registry::Registration& said = session.registration;
      wire::Snapshot::Node node;
      node.role = session.identity.role;
      node.name = session.identity.name;
      node.incarnation = session.identity.incarnation;
      node.topology = session.identity.topology;
      node.topology_version = said.topology_version;
      node.endpoint = said.endpoint;
      node.tasks.assign(said.tasks.begin(), said.tasks.end());
      node.state = said.state;
      node.age_ms = milliseconds(now - session.since);
      snapshot.nodes.push_back(std::move(node));
    }
    std::sort(snapshot.nodes.begin() + 1, snapshot.nodes.end(), [](const auto& a, const auto& b) {
      return std::tie(a.topology, a.role, a.name) < std::tie(b.topology, b.role, b.name);
    });
  }
  server_.send(peer, wire::BodyKind::snapshot, wire::data_frame(snapshot), now, output_);
}

Result<void> BrokerMachine::watch(PeerId peer, wire::Watch wanted) {
  const auto found = sessions_.find(peer);
  if (found == sessions_.end()) return {};
  Session& session = found->second;
  if (session.identity.role != Role::operator_) {
    return Error{ErrorCode::protocol, "a watch of a node that is no operator"};
  }
  if (wanted.id == 0) return Error{ErrorCode::protocol, "a watch without a number"};
  if (session.watch) watches_changed(*session.watch);
  session.watch = std::move(wanted);
  watches_changed(*session.watch);
  return {};
}

void BrokerMachine::watches_changed(const wire::Watch& watch) {
  const auto topology = topologies_.find(watch.topology);
  if (topology != topologies_.end()) topology->second.dirty = true;
}

std::vector<wire::Watch> BrokerMachine::watches_of(const std::string& topology) const {
  std::vector<wire::Watch> watches;
  for (const auto& [peer, session] : sessions_) {
    if (!session.watch || session.watch->topology != topology) continue;
    if (watches.size() < kMaxWatches) watches.push_back(*session.watch);
  }
  return watches;
}

std::vector<registry::Directory::Worker> BrokerMachine::list_workers(
    const Topology& topology) const {
  std::map<std::string_view, registry::Directory::Worker> workers;
  for (const auto& [key, peer] : topology.nodes) {
    if (key.first != Role::task) continue;
    const Session& session = sessions_.at(peer);
    workers[key.second] = {key.second, session.identity.incarnation, session.registration.tasks};
  }
  for (const auto& [key, peer] : topology.nodes) {
    if (key.first != Role::pipeline) continue;
    // A worker that has lost its line to this broker alone serves on.
    for (const registry::Directory::Worker& attached : sessions_.at(peer).slots.attached) {
      workers.try_emplace(attached.name, attached);
    }
  }
  for (const auto& [key, peer] : topology.nodes) {
    if (key.first != Role::pipeline) continue;
    for (const registry::SlotReport::Missing& missing : sessions_.at(peer).slots.missing) {
      const auto worker = workers.find(missing.name);
      if (worker != workers.end() && worker->second.incarnation == missing.incarnation) {
        ++worker->second.absences;
      }
    }
  }
  std::vector<registry::Directory::Worker> listed;
  listed.reserve(workers.size());
  for (auto& [name, worker] : workers) listed.push_back(std::move(worker));
  return listed;
}

void BrokerMachine::settle_newcomers(const Topology& topology) {
  for (const auto& [key, peer] : topology.nodes) {
    if (key.first != Role::pipeline) continue;
    Session& session = sessions_.at(peer);
    if (std::exchange(session.starts_settled, false)) {
      session.settled = std::max(session.settled, topology.slots_revision);
    }
  }
}

void BrokerMachine::refresh(const std::string& name, Topology& topology, TimePoint now) {
  std::vector<registry::Directory::Worker> workers = list_workers(topology);
  if (topology.slots_revision == 0 || workers != topology.workers) {
    topology.workers = std::move(workers);
    ++topology.slots_revision;
  }

  registry::Directory directory;
  directory.topology = name;
  if (!topology.withholds_workers(now)) {
    settle_newcomers(topology);
    directory.workers = topology.workers;
    directory.slots_revision = topology.slots_revision;
    directory.slots_settled = topology.slots_revision;
  }
  const Session* newest = nullptr;
  for (const auto& [key, peer] : topology.nodes) {
    if (key.first != Role::pipeline) continue;
    const Session& session = sessions_.at(peer);
    directory.coordinators.push_back({key.second, session.identity.incarnation,
                                      session.registration.endpoint,
                                      session.registration.topology_version});
    directory.slots_settled = std::min(directory.slots_settled, session.settled);
    for (const registry::SlotReport::Held& held : session.slots.held) {
      directory.held.push_back({key.second, held.task, held.slots});
    }
    if (session.registration.topology_text.empty()) continue;
    if (newest == nullptr || newest->definition_since < session.definition_since) newest = &session;
  }
  if (newest != nullptr) {
    directory.topology_version = newest->registration.topology_version;
    directory.topology_text = newest->registration.topology_text;
  }
  directory.watches = watches_of(name);
  if (topology.revision > 0 && directory == topology.said) return;
  topology.said = directory;
  ++topology.revision;
  topology.directory = wire::data_frame(registry::view_of(directory, topology.revision));
}

void BrokerMachine::send_directories(TimePoint now) {
  for (auto& [id, session] : sessions_) {
    if (!session.registered) continue;
    const auto topology = topologies_.find(session.identity.topology);
    if (topology == topologies_.end()) continue;
    if (session.sent_revision == topology->second.revision) continue;
    // A node that confirms nothing gets the newest once it does: what waits for it stays bounded.
    if (!gets_directories(session.identity.role) || !server_.can_send(id)) continue;
    session.sent_revision = topology->second.revision;
    ++counters_.directories_sent;
    server_.send(id, wire::BodyKind::directory, topology->second.directory, now, output_);
  }
}

void BrokerMachine::report(wire::StatsReport& report) const {
  wire::StatsBuilder stats(report);
  stats.counter("tempest_broker_registrations_total", counters_.registrations);
  stats.counter("tempest_broker_registrations_refused_total", counters_.registrations_refused);
  stats.counter("tempest_broker_directories_sent_total", counters_.directories_sent);
  stats.counter("tempest_broker_queries_total", counters_.queries);
  stats.counter("tempest_broker_queries_dropped_total", counters_.queries_dropped);
  stats.counter("tempest_broker_malformed_bodies_total", counters_.malformed_bodies);
  stats.gauge("tempest_broker_sessions", sessions_.size());
  stats.gauge("tempest_broker_topologies", topologies_.size());
  stats.gauge("tempest_broker_registered_bytes", registered_bytes_);
  link::report(server_.counters(), server_.backlog(), stats);
}

}  // namespace tempest::broker
