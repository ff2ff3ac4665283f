#include "tempest/runtime/transport.hpp"

#include <catch2/catch.hpp>
#include <chrono>
#include <optional>
#include <string>
#include <zmq.hpp>

namespace tempest::runtime {
namespace {

/// Sends until nothing more is taken.
std::size_t fill(zmq::socket_t& socket) {
  const std::string frame(1000, 'x');
  std::size_t sent = 0;
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(5);
  zmq::pollitem_t item{socket.handle(), 0, ZMQ_POLLOUT, 0};
  while (std::chrono::steady_clock::now() < until) {
    if (zmq::poll(&item, 1, std::chrono::milliseconds(300)) == 0 && sent > 0) return sent;
    while (socket.send(zmq::buffer(frame), zmq::send_flags::dontwait)) ++sent;
  }
  return sent;
}

}  // namespace

TEST_CASE("a peer that dies while what it has sent is not read takes nobody with it") {
  Transport transport;
  zmq::socket_t router = make_router(transport);
  const auto endpoint = bind_socket(router, "tcp://127.0.0.1:0");
  REQUIRE(endpoint);
  {
    Transport other;
    zmq::socket_t dealer = make_dealer(other, "peer");
    REQUIRE(connect_socket(dealer, *endpoint));
    REQUIRE(fill(dealer) > 4096);
  }
  // A ping meets the dead connection, and libzmq would have aborted at the next one, a second
  // later: that nothing happens has no event to wait for.
  zmq::pollitem_t never{nullptr, 0, 0, 0};
  zmq::poll(&never, 0, std::chrono::milliseconds(3500));
  zmq::message_t routing_id;
  REQUIRE(router.recv(routing_id, zmq::recv_flags::dontwait));
  CHECK(routing_id.to_string_view() == "peer");
}

}  // namespace tempest::runtime
