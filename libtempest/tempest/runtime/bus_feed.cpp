#include "tempest/runtime/bus_feed.hpp"

#include <utility>
#include <zmq.hpp>

#include "tempest/runtime/clock.hpp"

namespace tempest::runtime {

class BusFeed::Impl {
 public:
  Impl(Transport& transport, const std::string& topic)
      : socket_(make_subscriber(transport, topic)) {}

  Result<void> connect(const std::string& broker) {
    return connect_socket(socket_, stats_out_endpoint(broker));
  }

  std::optional<std::string> next(Duration patience) {
    const TimePoint deadline = monotonic_now() + patience;
    while (true) {
      if (std::optional<std::string> body = read()) return body;
      const Duration left = deadline - monotonic_now();
      if (left <= Duration::zero()) return std::nullopt;
      zmq_pollitem_t item{socket_.handle(), 0, ZMQ_POLLIN, 0};
      const auto wait_ms = std::chrono::ceil<std::chrono::milliseconds>(left).count();
      if (zmq_poll(&item, 1, wait_ms) < 0) return std::nullopt;
    }
  }

 private:
  std::optional<std::string> read() {
    zmq::message_t topic;
    if (zmq_msg_recv(topic.handle(), socket_.handle(), ZMQ_DONTWAIT) < 0) return std::nullopt;
    std::string body;
    for (bool more = topic.more(); more;) {
      zmq::message_t part;
      if (zmq_msg_recv(part.handle(), socket_.handle(), ZMQ_DONTWAIT) < 0) break;
      more = part.more();
      body = part.to_string();
    }
    return body;
  }

  zmq::socket_t socket_;
};

BusFeed::BusFeed(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
BusFeed::~BusFeed() = default;

Result<std::unique_ptr<BusFeed>> BusFeed::open(Transport& transport,
                                               const std::vector<std::string>& brokers,
                                               const std::string& topic) {
  auto impl = std::make_unique<Impl>(transport, topic);
  for (const std::string& broker : brokers) {
    if (auto connected = impl->connect(broker); !connected) return connected.error();
  }
  return std::unique_ptr<BusFeed>(new BusFeed(std::move(impl)));
}

std::optional<std::string> BusFeed::next(Duration patience) {
  return impl_->next(patience);
}

}  // namespace tempest::runtime
