#include "broker/stats_bus.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <deque>
#include <optional>
#include <thread>
#include <zmq.hpp>

namespace tempest::broker {
namespace {

/// How many messages are forwarded before the stop signal is looked at again.
constexpr int kMaxMessagesPerTurn = 256;
/// What XPUB and XSUB call a subscription to everything.
constexpr std::string_view kSubscribeToAll("\x01", 1);

/// Every part of one message; false if there is none.
bool forward_message(zmq::socket_t& from, zmq::socket_t& to) {
  bool more = true;
  for (bool first = true; more; first = false) {
    zmq::message_t part;
    if (zmq_msg_recv(part.handle(), from.handle(), ZMQ_DONTWAIT) < 0) return !first;
    more = part.more();
    zmq_msg_send(part.handle(), to.handle(), ZMQ_DONTWAIT | (more ? ZMQ_SNDMORE : 0));
  }
  return true;
}

}  // namespace

class StatsBus::Impl {
 public:
  explicit Impl(runtime::Transport& transport)
      : in_(runtime::make_bus_input(transport)),
        out_(runtime::make_bus_output(transport)),
        stop_fd_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {}

  ~Impl() {
    if (thread_.joinable()) {
      const std::uint64_t one = 1;
      [[maybe_unused]] const auto written = ::write(stop_fd_, &one, sizeof one);
      thread_.join();
    }
    if (stop_fd_ >= 0) ::close(stop_fd_);
  }

  Result<void> start(const std::vector<std::string>& in_endpoints,
                     const std::string& out_endpoint) {
    if (stop_fd_ < 0) return Error{ErrorCode::limit, "no file descriptor left for the stats bus"};
    for (const std::string& endpoint : in_endpoints) {
      if (auto bound = bind(in_, endpoint); !bound) return bound;
    }
    if (auto bound = bind(out_, out_endpoint); !bound) return bound;
    // The bus takes everything and filters here: subscriptions of strangers, of which there may be
    // any number, never reach the nodes' publishers.
    zmq_send(in_.handle(), kSubscribeToAll.data(), kSubscribeToAll.size(), ZMQ_DONTWAIT);
    // From here on the sockets are the thread's (its start is the fence between the two).
    thread_ = std::thread([this] { run(); });
    return {};
  }

 private:
  Result<void> bind(zmq::socket_t& socket, const std::string& endpoint) {
    auto bound = runtime::bind_socket(socket, endpoint, listeners_.emplace_back());
    return bound ? Result<void>() : bound.error();
  }

  void run() {
    std::array<zmq_pollitem_t, 3> items{{{nullptr, stop_fd_, ZMQ_POLLIN, 0},
                                         {in_.handle(), 0, ZMQ_POLLIN, 0},
                                         {out_.handle(), 0, ZMQ_POLLIN, 0}}};
    while (true) {
      if (zmq_poll(items.data(), static_cast<int>(items.size()), -1) < 0) {
        if (zmq_errno() == EINTR) continue;
        return;
      }
      if ((items[0].revents & ZMQ_POLLIN) != 0) return;
      for (int i = 0; i < kMaxMessagesPerTurn && forward_message(in_, out_); ++i) {
      }
      drop_subscriptions();
    }
  }

  /// XPUB has taken note of them already; what it hands up here is for forwarding.
  void drop_subscriptions() {
    for (int i = 0; i < kMaxMessagesPerTurn; ++i) {
      zmq::message_t subscription;
      if (zmq_msg_recv(subscription.handle(), out_.handle(), ZMQ_DONTWAIT) < 0) return;
    }
  }

  std::deque<std::optional<runtime::UnixListener>> listeners_;
  zmq::socket_t in_;
  zmq::socket_t out_;
  int stop_fd_;
  std::thread thread_;
};

StatsBus::StatsBus(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
StatsBus::~StatsBus() = default;

Result<std::unique_ptr<StatsBus>> StatsBus::open(runtime::Transport& transport,
                                                 const std::vector<std::string>& in_endpoints,
                                                 const std::string& out_endpoint) {
  auto impl = std::make_unique<Impl>(transport);
  if (auto started = impl->start(in_endpoints, out_endpoint); !started) return started.error();
  return std::unique_ptr<StatsBus>(new StatsBus(std::move(impl)));
}

}  // namespace tempest::broker
