#include "tempest/runtime/router.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "tempest/runtime/clock.hpp"

namespace tempest::runtime {

namespace {

constexpr int kBacklog = 1024;
constexpr std::size_t kMaxAcceptsPerTurn = 64;
// Beyond this many who have not said who they are, the oldest goes: peers of ours take
// milliseconds to do so, and others cannot use up the descriptors.
constexpr std::size_t kMaxStrangers = 1024;

void set_option(int descriptor, int level, int option, int value) {
  ::setsockopt(descriptor, level, option, &value, sizeof value);
}

void set_keep_alive(int descriptor) {
  // A peer that pings says how long to wait for the next; of others the kernel finds out who is
  // gone without a word.
  set_option(descriptor, SOL_SOCKET, SO_KEEPALIVE, 1);
  set_option(descriptor, IPPROTO_TCP, TCP_KEEPIDLE, 10);
  set_option(descriptor, IPPROTO_TCP, TCP_KEEPINTVL, 5);
  set_option(descriptor, IPPROTO_TCP, TCP_KEEPCNT, 3);
}

zmtp::Settings router_settings() {
  zmtp::Settings settings;
  settings.type = zmtp::SocketType::router;
  return settings;
}

}  // namespace

Router::Router(SocketParts parts) : parts_(std::move(parts)) {}

Router::~Router() {
  for (Peers* peers : {&strangers_, &known_}) {
    while (!peers->empty()) kill(peers->front());
  }
  if (listening_ < 0) return;
  parts_.poller.remove(listening_, this);
  if (!unix_) ::close(listening_);
}

Result<std::string> Router::listen(const std::string& text) {
  auto endpoint = parse_endpoint(text);
  if (!endpoint) return endpoint.error();
  if (endpoint->kind != Endpoint::Kind::inproc) return listen_stream(*endpoint, text);
  auto listener = parts_.hub.listen(endpoint->name, parts_.doorbell);
  if (!listener) return listener.error();
  inproc_ = std::move(*listener);
  return text;
}

Result<std::string> Router::listen_stream(const Endpoint& endpoint, const std::string& text) {
  const bool is_tcp = endpoint.kind == Endpoint::Kind::tcp;
  if (auto bound = is_tcp ? bind_tcp(endpoint, text) : bind_unix(endpoint); !bound) {
    return bound.error();
  }
  parts_.poller.add(listening_, this, false);
  if (!is_tcp) return text;
  SocketAddress bound;
  bound.length = sizeof bound.storage;
  ::getsockname(listening_, bound.get(), &bound.length);
  return tcp_endpoint(bound);
}

Result<void> Router::bind_tcp(const Endpoint& endpoint, const std::string& text) {
  const auto address = look_up_address(endpoint.name, endpoint.port);
  if (!address) {
    return Error{ErrorCode::unavailable,
                 "cannot listen on " + text + ": " + address.error().message};
  }
  const int made = ::socket(address->family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (made < 0) return cannot_listen(text, errno);
  // A node that is started again takes its port back at once.
  set_option(made, SOL_SOCKET, SO_REUSEADDR, 1);
  if (::bind(made, address->get(), address->length) != 0 || ::listen(made, kBacklog) != 0) {
    const int error = errno;
    ::close(made);
    return cannot_listen(text, error);
  }
  listening_ = made;
  return {};
}

Result<void> Router::bind_unix(const Endpoint& endpoint) {
  auto listener = UnixListener::open(endpoint.name);
  if (!listener) return listener.error();
  unix_ = std::move(*listener);
  listening_ = unix_->descriptor();
  return {};
}

void Router::ready(std::uint32_t /*events*/, Turn& turn) {
  for (std::size_t i = 0; i < kMaxAcceptsPerTurn; ++i) {
    const int descriptor = ::accept4(listening_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (descriptor >= 0) {
      accept_one(descriptor, turn.now);
      continue;
    }
    if (errno == ECONNABORTED || errno == EINTR) continue;
    if (errno == EAGAIN) break;
    // No descriptor, or no memory: the kernel would wake us for nothing again and again.
    parts_.poller.remove(listening_, this);
    is_paused_ = true;
    break;
  }
  while (strangers_.size() > kMaxStrangers) kill(strangers_.front());
}

void Router::accept_one(int descriptor, TimePoint now) {
  set_keep_alive(descriptor);
  Peer& peer = strangers_.emplace_back(*this);
  peer.place = std::prev(strangers_.end());
  peer.stream.emplace(descriptor, router_settings(), now);
  parts_.poller.add(descriptor, &peer, false);
  flush_peer(peer);
}

void Router::accept_inproc() {
  for (auto& accepted : inproc_->accept()) {
    Peer& peer = strangers_.emplace_back(*this);
    peer.place = std::prev(strangers_.end());
    peer.inproc.emplace(std::move(accepted.end));
    inproc_peers_.push_back(&peer);
    introduce(peer, std::move(accepted.routing_id));
  }
}

void Router::read(Peer& peer, Turn& turn) {
  peer.stream->read(turn.now, [&](SharedBytes frame) {
    if (!peer.is_known) introduce(peer, std::string(peer.stream->peer_identity()));
    turn.sink.receive(link::kListener, peer.routing_id, std::move(frame));
  });
  if (peer.stream->is_ready() && !peer.is_known) {
    introduce(peer, std::string(peer.stream->peer_identity()));
  }
  flush_peer(peer);
}

void Router::introduce(Peer& peer, std::string routing_id) {
  // A name that no peer can choose, for one who has none.
  if (routing_id.empty()) routing_id = std::string(1, '\0') + std::to_string(++nameless_);
  const auto [found, is_new] = by_routing_id_.try_emplace(routing_id, &peer);
  if (!is_new) kill(*std::exchange(found->second, &peer));
  peer.routing_id = std::move(routing_id);
  peer.is_known = true;
  known_.splice(known_.end(), strangers_, peer.place);
}

void Router::send(std::string_view routing_id, SharedBytes frame, TimePoint now) {
  const auto found = by_routing_id_.find(routing_id);
  if (found == by_routing_id_.end()) return;
  Peer& peer = *found->second;
  if (peer.inproc) {
    peer.inproc->send(std::move(frame));
    return;
  }
  if (!peer.stream->send(std::move(frame), now) || peer.is_dirty) return;
  peer.is_dirty = true;
  dirty_.push_back(&peer);
}

void Router::flush() {
  for (Peer* peer : dirty_) {
    peer->is_dirty = false;
    if (!peer->is_dead) flush_peer(*peer);
  }
  dirty_.clear();
  bury();
}

void Router::flush_peer(Peer& peer) {
  peer.stream->flush();
  if (peer.stream->is_over()) return kill(peer);
  if (peer.watches_writing == peer.stream->has_unsent()) return;
  peer.watches_writing = !peer.watches_writing;
  parts_.poller.change(peer.stream->descriptor(), &peer, peer.watches_writing);
}

bool Router::has_news() const {
  if (!inproc_) return false;
  if (inproc_->has_news()) return true;
  return std::any_of(inproc_peers_.begin(), inproc_peers_.end(),
                     [](const Peer* peer) { return peer->inproc->has_news(); });
}

void Router::take_news(Turn& turn) {
  if (!inproc_) return;
  if (inproc_->has_news()) accept_inproc();
  for (std::size_t i = 0; i < inproc_peers_.size(); ++i) {
    Peer& peer = *inproc_peers_[i];
    if (peer.is_dead || !peer.inproc->has_news()) continue;
    const bool is_closed = peer.inproc->is_closed();
    peer.inproc->receive(received_);
    for (SharedBytes& frame : received_) {
      turn.sink.receive(link::kListener, peer.routing_id, std::move(frame));
    }
    received_.clear();
    if (is_closed) kill(peer);
  }
  bury();
}

void Router::tick(TimePoint now) {
  if (is_paused_) {
    is_paused_ = false;
    parts_.poller.add(listening_, this, false);
  }
  for (Peers* peers : {&strangers_, &known_}) {
    for (auto it = peers->begin(); it != peers->end();) {
      Peer& peer = *it++;
      if (!peer.stream) continue;
      peer.stream->tick(now);
      if (peer.stream->is_over()) kill(peer);
    }
  }
  bury();
}

void Router::kill(Peer& peer) {
  if (peer.is_dead) return;
  peer.is_dead = true;
  if (peer.stream) parts_.poller.remove(peer.stream->descriptor(), &peer);
  // Its routing id may be another's by now.
  const auto found = by_routing_id_.find(peer.routing_id);
  if (found != by_routing_id_.end() && found->second == &peer) by_routing_id_.erase(found);
  dead_.splice(dead_.end(), peer.is_known ? known_ : strangers_, peer.place);
}

void Router::bury() {
  if (dead_.empty()) return;
  std::erase_if(inproc_peers_, [](const Peer* peer) { return peer->is_dead; });
  std::erase_if(dirty_, [](const Peer* peer) { return peer->is_dead; });
  dead_.clear();
}

void Router::linger(Duration patience) {
  const TimePoint until = monotonic_now() + patience;
  for (Peer& peer : known_) {
    if (peer.stream) peer.stream->linger(until - monotonic_now());
  }
}

}  // namespace tempest::runtime
