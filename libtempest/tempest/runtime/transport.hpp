#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>

#include "tempest/base/result.hpp"
#include "tempest/runtime/inproc.hpp"
#include "tempest/runtime/unix_listener.hpp"

namespace zmq {
class context_t;
class socket_t;
}  // namespace zmq

namespace tempest::runtime {

/// More frames than links ever have out at once (link::Settings::max_unacked_frames, and what goes
/// without being numbered), so that so many unsent ones mean a peer that has stopped, not a busy
/// one.
inline constexpr std::size_t kMaxQueuedFrames = 4096;

/// What the sockets of a process share: the names within it, and the ZeroMQ context of the stats
/// bus. Outlives all loops made with it.
class Transport {
 public:
  Transport();
  ~Transport();

  zmq::context_t& context() { return *context_; }
  InprocHub& hub() { return hub_; }

 private:
  InprocHub hub_;
  std::unique_ptr<zmq::context_t> context_;
};

/// Sockets of the stats bus with every option that we set, each in one place (transport.cpp) with
/// its reason. All have a linger of zero. (Links have none of these: runtime/network.hpp.)
///
/// A node's statistics on their way out: drops rather than waits.
zmq::socket_t make_publisher(Transport& transport);
/// Every message whose topic starts with `topic`.
zmq::socket_t make_subscriber(Transport& transport, const std::string& topic);
/// The two ends of the broker's stats bus.
zmq::socket_t make_bus_input(Transport& transport);
zmq::socket_t make_bus_output(Transport& transport);

/// Binds; "tcp://host:0" picks a free port. Gives the endpoint that is bound, or `unavailable` with
/// what to do. Of ipc, `listener` holds the path, and is to outlive the socket's last use.
Result<std::string> bind_socket(zmq::socket_t& socket, const std::string& endpoint,
                                std::optional<UnixListener>& listener);
/// `invalid_argument` if the endpoint is of no known form.
Result<void> connect_socket(zmq::socket_t& socket, const std::string& endpoint);

/// The stats bus of the broker at this control endpoint: where PUBs connect to ("in") and SUBs
/// ("out"). "tcp://host:5550" gives 5551 and 5552; "inproc://x" and "ipc://x" give "x.stats-in"
/// and "x.stats-out". Empty if the endpoint is of no known form.
std::string stats_in_endpoint(const std::string& broker);
std::string stats_out_endpoint(const std::string& broker);

}  // namespace tempest::runtime
