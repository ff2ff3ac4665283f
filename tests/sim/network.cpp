#include "network.hpp"

#include <algorithm>
#include <utility>

#include "host.hpp"
#include "world.hpp"

namespace tempest::sim {

namespace {

constexpr std::size_t kRemembered = 300;

}  // namespace

void Network::bind(std::size_t host, const std::string& endpoint) {
  bound_[endpoint] = host;
}

void Network::open(std::size_t host, link::ChannelId channel, const std::string& endpoint,
                   const std::string& routing_id) {
  const std::uint64_t id = next_connection_++;
  Connection& connection = connections_[id];
  connection.dealer = host;
  connection.channel = channel;
  connection.endpoint = endpoint;
  connection.routing_id = routing_id;
  by_channel_[{host, channel}] = id;
  world_.after(travel_time(), [this, id] { try_connect(id); });
}

void Network::close(std::size_t host, link::ChannelId channel) {
  const auto found = by_channel_.find({host, channel});
  if (found == by_channel_.end()) return;
  const std::uint64_t id = found->second;
  by_channel_.erase(found);
  // What was sent just before may still get out; but it does not connect any more.
  if (!connections_[id].is_up) {
    connections_.erase(id);
    return;
  }
  connections_[id].is_closing = true;
  world_.after(milliseconds(50), [this, id] {
    break_connection(id);
    connections_.erase(id);
  });
}

void Network::try_connect(std::uint64_t id) {
  const auto found = connections_.find(id);
  if (found == connections_.end() || found->second.is_up || found->second.is_closing) return;
  Connection& connection = found->second;
  const auto listener = bound_.find(connection.endpoint);
  if (listener == bound_.end()) return retry(id);
  const std::size_t router = listener->second;
  const Host& host = world_.host(router);
  if (!host.is_alive() || host.is_paused() || is_blocked(connection.dealer, router) ||
      is_blocked(router, connection.dealer)) {
    return retry(id);
  }
  if (router == connection.dealer) {
    world_.violate("no node speaks with itself", host.name() + " connects to itself");
  }
  connection.router = router;
  connection.is_up = true;
  // ROUTER_HANDOVER: the newest connection of a routing id ends the one before it.
  auto& route = routes_[{router, connection.routing_id}];
  if (const std::uint64_t former = std::exchange(route, id); former != 0) {
    connections_[former].is_up = false;
    retry(former);
  }
}

void Network::retry(std::uint64_t id) {
  world_.after(milliseconds(20 + random_.below(100)), [this, id] { try_connect(id); });
}

void Network::break_connection(std::uint64_t id) {
  const auto found = connections_.find(id);
  if (found == connections_.end()) return;
  Connection& connection = found->second;
  if (!connection.is_up) return;
  connection.is_up = false;
  for (std::uint64_t& epoch : connection.epoch) {
    if (random_.below(2) == 0) ++epoch;
  }
  const auto route = routes_.find({connection.router, connection.routing_id});
  if (route != routes_.end() && route->second == id) routes_.erase(route);
}

void Network::died(std::size_t host) {
  std::erase_if(bound_, [host](const auto& entry) { return entry.second == host; });
  std::vector<std::uint64_t> own;
  std::vector<std::uint64_t> others;
  for (const auto& [id, connection] : connections_) {
    if (connection.dealer == host) {
      own.push_back(id);
    } else if (connection.is_up && connection.router == host) {
      others.push_back(id);
    }
  }
  for (const std::uint64_t id : others) {
    break_connection(id);
    retry(id);
  }
  for (const std::uint64_t id : own) {
    by_channel_.erase({host, connections_[id].channel});
    connections_[id].is_closing = true;
    // The kernel sends on what it was given.
    const bool flushes = random_.below(2) == 0;
    if (!flushes) {
      for (std::uint64_t& epoch : connections_[id].epoch) ++epoch;
    }
    world_.after(milliseconds(500), [this, id] {
      break_connection(id);
      connections_.erase(id);
    });
  }
}

void Network::send(std::size_t host, const link::Effects::Send& send) {
  ++frames;
  if (send.channel == link::kListener) {
    const auto route = routes_.find({host, send.routing_id});
    if (route == routes_.end()) return;
    return carry(route->second, false, send.frame);
  }
  const auto found = by_channel_.find({host, send.channel});
  if (found == by_channel_.end()) return;
  if (connections_[found->second].is_up) carry(found->second, true, send.frame);
}

Duration Network::travel_time() {
  const Scenario& scenario = world_.scenario();
  const auto jitter = static_cast<std::uint64_t>(scenario.jitter.count());
  return scenario.latency + Duration(static_cast<Duration::rep>(random_.below(jitter + 1)));
}

void Network::carry(std::uint64_t id, bool to_router, const SharedBytes& frame) {
  Connection& connection = connections_[id];
  const std::size_t from = to_router ? connection.dealer : connection.router;
  const std::size_t to = to_router ? connection.router : connection.dealer;
  Remembered remembered{to, connection.endpoint, connection.routing_id, to_router, frame};
  if (remembered_.size() < kRemembered) {
    remembered_.push_back(std::move(remembered));
  } else {
    remembered_[next_remembered_++ % kRemembered] = std::move(remembered);
  }
  TimePoint when = world_.now() + travel_time();
  if (is_blocked(from, to)) {
    const Block& block = blocks_[{from, to}];
    if (block.loses) {
      ++lost;
      return;
    }
    when = std::max(when, block.until);
  }
  if (is_wild && world_.has_faults()) {
    if (random_.below(50) == 0) {
      ++lost;
      return;
    }
    if (random_.below(30) == 0) {
      ++doubled;
      deliver_at(when + milliseconds(random_.below(300)), id, to_router, frame);
    }
    if (random_.below(20) == 0) when += milliseconds(random_.below(400));
    return deliver_at(when, id, to_router, frame);
  }
  TimePoint& last = connection.last_arrival[to_router ? 0 : 1];
  when = std::max(when, last);
  last = when;
  deliver_at(when, id, to_router, frame);
}

void Network::deliver_at(TimePoint when, std::uint64_t id, bool to_router,
                         const SharedBytes& frame) {
  const std::uint64_t epoch = connections_[id].epoch[to_router ? 0 : 1];
  world_.at(when, [this, id, to_router, epoch, frame] { arrive(id, to_router, epoch, frame); });
}

void Network::arrive(std::uint64_t id, bool to_router, std::uint64_t epoch,
                     const SharedBytes& frame) {
  const auto found = connections_.find(id);
  if (found == connections_.end() || found->second.epoch[to_router ? 0 : 1] != epoch) {
    ++lost;
    return;
  }
  const Connection& connection = found->second;
  Host& host = world_.host(to_router ? connection.router : connection.dealer);
  host.arrive(to_router ? link::kListener : connection.channel,
              to_router ? connection.routing_id : std::string(), frame);
}

void Network::block(std::size_t from, std::size_t to, TimePoint until, bool loses) {
  blocks_[{from, to}] = {until, loses};
  if (!loses) return;
  // Frames that TCP never gets through end the connection, sooner or later.
  world_.at(until, [this, from, to] {
    std::vector<std::uint64_t> hit;
    for (const auto& [id, connection] : connections_) {
      if (!connection.is_up) continue;
      const bool between = (connection.dealer == from && connection.router == to) ||
                           (connection.dealer == to && connection.router == from);
      if (between) hit.push_back(id);
    }
    for (const std::uint64_t id : hit) {
      break_connection(id);
      retry(id);
    }
  });
}

bool Network::is_blocked(std::size_t from, std::size_t to) const {
  const auto found = blocks_.find({from, to});
  return found != blocks_.end() && world_.now() < found->second.until;
}

void Network::reconnect_one() {
  if (connections_.empty()) return;
  auto chosen = connections_.begin();
  std::advance(chosen, static_cast<std::ptrdiff_t>(random_.below(connections_.size())));
  if (!chosen->second.is_up) return;
  const std::uint64_t id = chosen->first;
  break_connection(id);
  retry(id);
}

void Network::replay_one() {
  if (remembered_.empty()) return;
  const Remembered& old = remembered_[random_.below(remembered_.size())];
  Host& host = world_.host(old.to);
  if (!host.is_alive()) return;
  ++replayed;
  if (old.to_router) return host.arrive(link::kListener, old.routing_id, old.frame);
  // To the new life by its own channel to the same place.
  for (const auto& [place, id] : by_channel_) {
    if (place.first != old.to || connections_[id].endpoint != old.endpoint) continue;
    return host.arrive(place.second, {}, old.frame);
  }
}

void Network::garbage() {
  std::string bytes(random_.below(40), '\0');
  for (char& byte : bytes) byte = static_cast<char>(random_.below(256));
  if (connections_.empty()) return;
  auto chosen = connections_.begin();
  std::advance(chosen, static_cast<std::ptrdiff_t>(random_.below(connections_.size())));
  const Connection& connection = chosen->second;
  if (!connection.is_up) return;
  const SharedBytes frame(std::move(bytes));
  if (random_.below(2) == 0) {
    world_.host(connection.router).arrive(link::kListener, connection.routing_id, frame);
  } else {
    world_.host(connection.dealer).arrive(connection.channel, {}, frame);
  }
}

void Network::heal() {
  is_wild = false;
  for (auto& [pair, block] : blocks_) block.until = std::min(block.until, world_.now());
}

}  // namespace tempest::sim
