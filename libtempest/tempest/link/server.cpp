#include "tempest/link/server.hpp"

#include <algorithm>

#include "tempest/base/random.hpp"
#include "tempest/link/header_frame.hpp"
#include "tempest/link/mismatch.hpp"

namespace tempest::link {
namespace {

/// No more refusals than this are told in an interval; all are counted.
constexpr std::size_t kRefusalsTold = 16;
constexpr Duration kRefusalInterval = std::chrono::seconds(10);

}  // namespace

Server::Server(Identity self, const Settings& settings)
    : self_(std::move(self)), settings_(settings) {}

const Identity* Server::peer(PeerId peer) const {
  const Peer* found = peers_.find(peer);
  return found ? found->identity.get() : nullptr;
}

bool Server::can_send(PeerId peer) const {
  const Peer* found = peers_.find(peer);
  return found && found->session->can_send();
}

bool Server::all_confirmed(PeerId peer) const {
  const Peer* found = peers_.find(peer);
  return !found || found->session->unacked_frames() == 0;
}

bool Server::all_confirmed() const {
  return std::all_of(by_session_.begin(), by_session_.end(),
                     [this](const auto& entry) { return all_confirmed(entry.second); });
}

Backlog Server::backlog() const {
  Backlog sum;
  for (const auto& [session, peer] : by_session_) sum += peers_.find(peer)->session->backlog();
  return sum;
}

void Server::send(PeerId peer, wire::BodyKind kind, std::string frame, TimePoint now,
                  Output& output) {
  Peer* found = peers_.find(peer);
  if (!found) return;
  if (frame.size() > kMaxFrameBytes) {
    ++counters_.oversize;
    return;
  }
  put(found->routing_id, found->session->send(kind, std::move(frame), now), output);
  heed_timers_of(peer.slot, *found);
}

void Server::reset(PeerId peer, Output& output) {
  const Peer* found = peers_.find(peer);
  if (!found) return;
  put(found->routing_id, header_frame(wire::Reset{found->session->id()}), output);
  lose(peer, LostReason::malformed, output);
}

void Server::confirm_soon(PeerId peer, TimePoint now) {
  Peer* found = peers_.find(peer);
  if (!found) return;
  found->session->confirm_soon(now);
  heed_timers_of(peer.slot, *found);
}

void Server::receive(std::string_view routing_id, std::string_view frame, TimePoint now,
                     Output& output) {
  if (closed_) return;
  ++counters_.frames_received;
  const Result<wire::FrameType> type = wire::peek_type(frame);
  if (!type) {
    ++counters_.malformed;
    return;
  }
  switch (*type) {
    case wire::FrameType::hello:
      return receive_hello(routing_id, frame, now, output);
    case wire::FrameType::data:
      return receive_data(routing_id, frame, now, output);
    case wire::FrameType::heartbeat:
      return receive_heartbeat(routing_id, frame, now, output);
    case wire::FrameType::reset:
      return receive_reset(routing_id, frame, output);
    case wire::FrameType::bye:
      return receive_bye(routing_id, frame, output);
    case wire::FrameType::welcome:  // For an opener.
    case wire::FrameType::stats:
    case wire::FrameType::sightings:
      break;
  }
  ++counters_.malformed;
}

void Server::receive_hello(std::string_view routing_id, std::string_view frame, TimePoint now,
                           Output& output) {
  wire::Hello hello;
  if (!wire::decode(frame, hello)) {
    ++counters_.malformed;
    return;
  }
  if (hello.protocol != wire::kProtocolVersion) {
    return refuse(routing_id, hello,
                  "protocol version " + std::to_string(hello.protocol) + ", and this node speaks " +
                      std::to_string(wire::kProtocolVersion),
                  now, output);
  }
  if (hello.name.empty()) {
    ++counters_.malformed;
    return;
  }
  if (const auto found = by_hello_.find(hello.hello); found != by_hello_.end()) {
    Peer& known = peers_.at(found->second.slot);
    const bool same = known.routing_id == routing_id && known.identity->role == hello.role &&
                      known.identity->name == hello.name &&
                      known.identity->incarnation == hello.incarnation;
    // Somebody else's number, or one that came by another way than its session's: anew, please.
    if (!same) return disown(routing_id, hello.hello, output);
    // Not welcomed yet, as far as it knows.
    known.session->touch(now);
    return welcome(known, output);
  }
  accept(routing_id, hello, now, output);
}

void Server::accept(std::string_view routing_id, const wire::Hello& hello, TimePoint now,
                    Output& output) {
  if (std::string fault = fault_of(hello); !fault.empty()) {
    return refuse(routing_id, hello, std::move(fault), now, output);
  }
  const std::pair<Role, std::string> key(hello.role, hello.name);
  if (const auto former = by_name_.find(key); former != by_name_.end()) {
    const bool restarted = peers_.find(former->second)->identity->incarnation != hello.incarnation;
    lose(former->second, restarted ? LostReason::incarnation : LostReason::reset, output);
  }
  if (peers_.size() >= kMaxNodes) {
    return refuse(routing_id, hello,
                  "it holds " + std::to_string(kMaxNodes) + " sessions, its most", now, output);
  }

  Peer peer;
  peer.identity = std::make_shared<const Identity>(Identity{
      hello.role, std::string(hello.name), hello.incarnation, std::string(hello.topology)});
  peer.routing_id = routing_id;
  peer.hello = hello.hello;
  peer.session.emplace(new_session_number(hello.hello), settings_, lease_from_ms(hello.lease_ms),
                       now);
  peer.silent_until = now + std::chrono::milliseconds(kMaxSilenceMs);
  const PeerId id = peers_.create(std::move(peer));
  Peer& created = peers_.at(id.slot);
  by_name_.emplace(key, id);
  by_hello_.emplace(created.hello, id);
  by_session_.emplace(created.session->id(), id);
  heed_timers_of(id.slot, created);
  welcome(created, output);
  refused_.erase(key);

  Event& event = output.events.emplace_back();
  event.kind = Event::Kind::up;
  event.peer = id;
  event.identity = created.identity;
}

void Server::receive_data(std::string_view routing_id, std::string_view frame, TimePoint now,
                          Output& output) {
  wire::DataHeader header;
  std::string_view body;
  if (!wire::decode(frame, header, body)) {
    ++counters_.malformed;
    return;
  }
  const std::optional<PeerId> id = find(routing_id, header.session);
  if (!id) return disown(routing_id, header.session, output);
  Peer& peer = peers_.at(id->slot);
  switch (peer.session->receive_data(header, now)) {
    case Session::Arrival::in_order: {
      peer.silent_until = kNever;
      Event& event = output.events.emplace_back();
      event.kind = Event::Kind::body;
      event.peer = *id;
      event.body_kind = header.kind;
      event.body = body;
      break;
    }
    case Session::Arrival::duplicate:
      ++counters_.duplicate;
      break;
    case Session::Arrival::out_of_order:
      ++counters_.out_of_order;
      break;
  }
  heed_timers_of(id->slot, peer);
}

void Server::receive_heartbeat(std::string_view routing_id, std::string_view frame, TimePoint now,
                               Output& output) {
  wire::Heartbeat heartbeat;
  if (!wire::decode(frame, heartbeat)) {
    ++counters_.malformed;
    return;
  }
  const std::optional<PeerId> id = find(routing_id, heartbeat.session);
  if (!id) return disown(routing_id, heartbeat.session, output);
  Peer& peer = peers_.at(id->slot);
  peer.session->receive_heartbeat(heartbeat, now);
  heed_timers_of(id->slot, peer);
}

void Server::receive_reset(std::string_view routing_id, std::string_view frame, Output& output) {
  wire::Reset reset;
  if (!wire::decode(frame, reset)) {
    ++counters_.malformed;
    return;
  }
  const std::optional<PeerId> id = find(routing_id, reset.session);
  if (!id) {
    ++counters_.stale;
    return;
  }
  lose(*id, LostReason::reset, output);
}

void Server::receive_bye(std::string_view routing_id, std::string_view frame, Output& output) {
  wire::Bye bye;
  if (!wire::decode(frame, bye)) {
    ++counters_.malformed;
    return;
  }
  const std::optional<PeerId> id = find(routing_id, bye.session);
  if (!id) {
    ++counters_.stale;
    return;
  }
  lose(*id, LostReason::left, output);
  if (!bye.reason.empty()) {
    output.events.back().text = std::make_shared<const std::string>(bye.reason);
  }
}

void Server::turn(TimePoint now, Output& output) {
  while (!timers_.empty() && timers_.begin()->first <= now) {
    due_peers_.push_back(timers_.begin()->second);
    peers_.at(timers_.begin()->second).looked_at = kNever;
    timers_.erase(timers_.begin());
  }
  for (const std::uint32_t slot : due_peers_) turn(slot, now, output);
  due_peers_.clear();
}

void Server::turn(std::uint32_t slot, TimePoint now, Output& output) {
  Peer& peer = peers_.at(slot);
  if (peer.session->lease_over(now)) {
    ++counters_.leases_lost;
    lose(peers_.id_of(slot), LostReason::lease, output);
    return;
  }
  if (now >= peer.silent_until) {
    put(peer.routing_id, header_frame(wire::Bye{peer.session->id(), "silent"}), output);
    lose(peers_.id_of(slot), LostReason::silent, output);
    return;
  }
  peer.session->turn(now, due_, counters_);
  for (SharedBytes& frame : due_) put(peer.routing_id, std::move(frame), output);
  due_.clear();
  heed_timers_of(slot, peer);
}

void Server::close(std::string_view reason, TimePoint /*now*/, Output& output) {
  if (closed_) return;
  peers_.for_each([&](PeerId id, Peer& peer) {
    put(peer.routing_id, header_frame(wire::Bye{peer.session->id(), reason}), output);
    lose(id, LostReason::closed, output);
  });
  closed_ = true;
}

void Server::welcome(const Peer& peer, Output& output) {
  wire::Welcome welcome;
  welcome.hello = peer.hello;
  welcome.session = peer.session->id();
  welcome.role = self_.role;
  welcome.name = self_.name;
  welcome.incarnation = self_.incarnation;
  welcome.topology = self_.topology;
  welcome.lease_ms = static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(settings_.lease).count());
  put(peer.routing_id, header_frame(welcome), output);
}

std::string Server::fault_of(const wire::Hello& hello) const {
  return mismatch(
      {.name = hello.wanted_name,
       .incarnation = hello.wanted_incarnation,
       .topology = hello.topology},
      {.name = self_.name, .incarnation = self_.incarnation, .topology = self_.topology});
}

void Server::refuse(std::string_view routing_id, const wire::Hello& hello, std::string reason,
                    TimePoint now, Output& output) {
  ++counters_.refused;
  put(routing_id, header_frame(wire::Bye{hello.hello, reason}), output);
  // Whoever is refused asks again every second.
  const std::pair<Role, std::string> key(hello.role, hello.name);
  const auto before = refused_.find(key);
  if (before != refused_.end() && *before->second == reason) return;
  if (now - refusals_since_ >= kRefusalInterval) {
    refusals_since_ = now;
    refusals_told_ = 0;
  }
  if (refusals_told_ >= kRefusalsTold) return;  // It is told when it asks again, later.
  ++refusals_told_;
  if (refused_.size() >= kMaxNodes) refused_.clear();
  auto& told = refused_[key];
  told = std::make_shared<const std::string>(std::move(reason));
  Event& event = output.events.emplace_back();
  event.kind = Event::Kind::refused;
  event.identity = std::make_shared<const Identity>(Identity{
      hello.role, std::string(hello.name), hello.incarnation, std::string(hello.topology)});
  event.text = told;
}

std::uint64_t Server::new_session_number(std::uint64_t hello) {
  // The same HELLO may come late, when its session is over here but not yet at the other end: under
  // the old number the two ends would never agree on what has arrived.
  std::uint64_t session = 0;
  do {
    const std::uint64_t drawn = Random(hello ^ self_.incarnation.high).next() + ++sessions_begun_;
    session = Random(drawn).next() ^ self_.incarnation.low;
  } while (by_session_.contains(session));
  return session;
}

std::optional<PeerId> Server::find(std::string_view routing_id, std::uint64_t session) const {
  const auto found = by_session_.find(session);
  if (found == by_session_.end()) return std::nullopt;
  if (peers_.at(found->second.slot).routing_id != routing_id) return std::nullopt;
  return found->second;
}

void Server::disown(std::string_view routing_id, std::uint64_t session, Output& output) {
  ++counters_.stale;
  put(routing_id, header_frame(wire::Reset{session}), output);
}

void Server::lose(PeerId peer, LostReason reason, Output& output) {
  Peer& lost = peers_.at(peer.slot);
  Event& event = output.events.emplace_back();
  event.kind = Event::Kind::lost;
  event.peer = peer;
  event.identity = std::move(lost.identity);
  event.reason = reason;
  timers_.erase({lost.looked_at, peer.slot});
  by_session_.erase(lost.session->id());
  by_hello_.erase(lost.hello);
  by_name_.erase({event.identity->role, event.identity->name});
  peers_.release(peer.slot);
}

void Server::put(std::string_view routing_id, SharedBytes frame, Output& output) {
  ++counters_.frames_sent;
  output.frames.push_back({std::string(routing_id), std::move(frame)});
}

void Server::heed_timers_of(std::uint32_t slot, Peer& peer) {
  const TimePoint next = std::min(peer.session->next_turn(), peer.silent_until);
  // Later than before: it is looked at too early then, once, which costs less than moving it with
  // each frame.
  if (next >= peer.looked_at) return;
  timers_.erase({peer.looked_at, slot});
  timers_.emplace(next, slot);
  peer.looked_at = next;
}

}  // namespace tempest::link
