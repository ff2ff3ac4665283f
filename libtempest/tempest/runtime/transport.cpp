#include "tempest/runtime/transport.hpp"

#include <fcntl.h>

#include <cerrno>
#include <utility>
#include <zmq.hpp>

#include "tempest/base/limits.hpp"
#include "tempest/runtime/endpoint.hpp"

namespace tempest::runtime {

namespace {

void set_common_options(zmq::socket_t& socket) {
  // Termination must not wait for peers that are gone.
  socket.set(zmq::sockopt::linger, 0);
  socket.set(zmq::sockopt::sndhwm, static_cast<int>(kMaxQueuedFrames));
  socket.set(zmq::sockopt::rcvhwm, static_cast<int>(kMaxQueuedFrames));
  // Per frame, and unlimited by default. A peer that exceeds it is disconnected.
  socket.set(zmq::sockopt::maxmsgsize, static_cast<std::int64_t>(kMaxFrameBytes));
  // Whoever connects and says nothing is let go.
  socket.set(zmq::sockopt::handshake_ivl, 3000);
  // Quick at first, not a storm when a peer stays away.
  socket.set(zmq::sockopt::reconnect_ivl, 100);
  socket.set(zmq::sockopt::reconnect_ivl_max, 5000);
  // Without it a dropped SYN costs two minutes.
  socket.set(zmq::sockopt::connect_timeout, 3000);
}

/// For sockets that connect, to notice a peer that has stopped, which libzmq does not by itself,
/// and to connect anew. The other end needs none of its own: each ping says how long to wait for
/// the next (the TTL), and it answers. And it must not have its own, nor may what mostly reads:
/// where the reading of a connection is held up (by a full pipe, or because somebody else has taken
/// its routing id), and the connection breaks, libzmq 4.3.4 aborts the process at the next ping.
void set_heartbeats(zmq::socket_t& socket) {
  socket.set(zmq::sockopt::heartbeat_ivl, 1000);
  socket.set(zmq::sockopt::heartbeat_timeout, 3000);
  socket.set(zmq::sockopt::heartbeat_ttl, 3000);
}

/// For the other sockets: the kernel finds out who is gone without a word.
void set_keep_alive(zmq::socket_t& socket) {
  socket.set(zmq::sockopt::tcp_keepalive, 1);
  socket.set(zmq::sockopt::tcp_keepalive_idle, 10);
  socket.set(zmq::sockopt::tcp_keepalive_intvl, 5);
  socket.set(zmq::sockopt::tcp_keepalive_cnt, 3);
}

std::string neighbour(const std::string& broker, unsigned distance, const char* suffix) {
  const auto endpoint = parse_endpoint(broker);
  if (!endpoint) return {};
  if (endpoint->kind != Endpoint::Kind::tcp) return broker + suffix;
  if (endpoint->port == 0 || endpoint->port + distance > 65535) return {};
  return broker.substr(0, broker.rfind(':') + 1) + std::to_string(endpoint->port + distance);
}

}  // namespace

Transport::Transport() : context_(std::make_unique<zmq::context_t>(1)) {
  context_->set(zmq::ctxopt::max_sockets, 65536);
}

Transport::~Transport() = default;

zmq::socket_t make_publisher(Transport& transport) {
  zmq::socket_t socket(transport.context(), zmq::socket_type::pub);
  set_common_options(socket);
  set_heartbeats(socket);
  return socket;
}

zmq::socket_t make_subscriber(Transport& transport, const std::string& topic) {
  zmq::socket_t socket(transport.context(), zmq::socket_type::sub);
  set_common_options(socket);
  set_keep_alive(socket);
  socket.set(zmq::sockopt::subscribe, topic);
  return socket;
}

zmq::socket_t make_bus_input(Transport& transport) {
  zmq::socket_t socket(transport.context(), zmq::socket_type::xsub);
  set_common_options(socket);
  set_keep_alive(socket);
  return socket;
}

zmq::socket_t make_bus_output(Transport& transport) {
  zmq::socket_t socket(transport.context(), zmq::socket_type::xpub);
  set_common_options(socket);
  set_keep_alive(socket);
  return socket;
}

Result<std::string> bind_socket(zmq::socket_t& socket, const std::string& endpoint,
                                std::optional<UnixListener>& listener) {
  std::string wanted = endpoint;
  if (wanted.rfind("tcp://", 0) == 0 && wanted.ends_with(":0")) {
    wanted.replace(wanted.size() - 1, 1, "*");
  }
  // libzmq removes whatever stands at the path of ipc, when it binds and when it closes.
  const auto parsed = parse_endpoint(endpoint);
  int descriptor = -1;
  if (parsed && parsed->kind == Endpoint::Kind::ipc) {
    auto opened = UnixListener::open(parsed->name);
    if (!opened) return opened.error();
    listener = std::move(*opened);
    descriptor = ::fcntl(listener->descriptor(), F_DUPFD_CLOEXEC, 3);
    if (descriptor < 0) return cannot_listen(endpoint, errno);
  }
  zmq_setsockopt(socket.handle(), ZMQ_USE_FD, &descriptor, sizeof descriptor);
  if (zmq_bind(socket.handle(), wanted.c_str()) != 0) {
    const int error = zmq_errno();
    if (error == EADDRINUSE) return cannot_listen(endpoint, error);
    return Error{ErrorCode::unavailable,
                 "cannot listen on " + endpoint + ": " + zmq_strerror(error) +
                     "; choose an address of this machine, such as tcp://127.0.0.1:0"};
  }
  return socket.get(zmq::sockopt::last_endpoint);
}

Result<void> connect_socket(zmq::socket_t& socket, const std::string& endpoint) {
  if (zmq_connect(socket.handle(), endpoint.c_str()) != 0) {
    return Error{ErrorCode::invalid_argument,
                 "cannot connect to " + endpoint + ": " + zmq_strerror(zmq_errno())};
  }
  return {};
}

std::string stats_in_endpoint(const std::string& broker) {
  return neighbour(broker, 1, ".stats-in");
}

std::string stats_out_endpoint(const std::string& broker) {
  return neighbour(broker, 2, ".stats-out");
}

}  // namespace tempest::runtime
