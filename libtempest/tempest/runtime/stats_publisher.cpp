#include "tempest/runtime/stats_publisher.hpp"

#include <zmq.hpp>

#include "tempest/runtime/transport.hpp"

namespace tempest::runtime {

namespace {

// What was published last gets this long to leave once the socket is closed.
constexpr int kLinger_ms = 200;

bool send_part(zmq::socket_t& socket, std::string_view bytes, int flags) {
  return zmq_send(socket.handle(), bytes.data(), bytes.size(), flags | ZMQ_DONTWAIT) >= 0;
}

}  // namespace

struct StatsPublisher::Socket {
  zmq::socket_t socket;
};

StatsPublisher::StatsPublisher(Transport& transport, const std::vector<std::string>& endpoints,
                               Log& log) {
  for (const std::string& endpoint : endpoints) {
    if (!socket_) {
      socket_ = std::make_unique<Socket>(Socket{make_publisher(transport)});
      socket_->socket.set(zmq::sockopt::linger, kLinger_ms);
    }
    if (auto connected = connect_socket(socket_->socket, endpoint); !connected) {
      log.warning("statistics are not published: " + connected.error().message);
    }
  }
}

StatsPublisher::~StatsPublisher() = default;

void StatsPublisher::publish(std::string_view topic, std::string_view body) {
  if (socket_ && send_part(socket_->socket, topic, ZMQ_SNDMORE)) {
    send_part(socket_->socket, body, 0);
  }
}

}  // namespace tempest::runtime
