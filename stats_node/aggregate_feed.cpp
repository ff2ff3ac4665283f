#include "stats_node/aggregate_feed.hpp"

#include <algorithm>
#include <zmq.hpp>

#include "tempest/runtime/clock.hpp"

namespace tempest::stats_node {

class AggregateFeed::Impl {
 public:
  explicit Impl(runtime::Transport& transport)
      : socket_(runtime::make_subscriber(transport, "aggregate")) {}

  Result<void> connect(const std::string& broker) {
    return runtime::connect_socket(socket_, runtime::stats_out_endpoint(broker));
  }

  std::optional<std::string> next(Duration patience) {
    const TimePoint deadline = runtime::monotonic_now() + patience;
    while (true) {
      if (std::optional<std::string> aggregate = read()) {
        if (*aggregate == last_) continue;
        last_ = *aggregate;
        return aggregate;
      }
      const Duration left = deadline - runtime::monotonic_now();
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
  std::string last_;
};

AggregateFeed::AggregateFeed(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
AggregateFeed::~AggregateFeed() = default;

Result<std::unique_ptr<AggregateFeed>> AggregateFeed::open(
    runtime::Transport& transport, const std::vector<std::string>& brokers) {
  auto impl = std::make_unique<Impl>(transport);
  for (const std::string& broker : brokers) {
    if (auto connected = impl->connect(broker); !connected) return connected.error();
  }
  return std::unique_ptr<AggregateFeed>(new AggregateFeed(std::move(impl)));
}

std::optional<std::string> AggregateFeed::next(Duration patience) {
  return impl_->next(patience);
}

}  // namespace tempest::stats_node
