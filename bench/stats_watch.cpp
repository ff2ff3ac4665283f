#include "bench/stats_watch.hpp"

#include <algorithm>
#include <zmq.hpp>

#include "tempest/runtime/transport.hpp"
#include "tempest/wire/codec.hpp"

namespace tempest::bench {

namespace {

bool has_all(const wire::StatsReport::Number& number,
             const std::vector<wire::StatsReport::Label>& labels) {
  return std::all_of(labels.begin(), labels.end(), [&](const auto& wanted) {
    return std::any_of(number.labels.begin(), number.labels.end(), [&](const auto& label) {
      return label.name == wanted.name && label.value == wanted.value;
    });
  });
}

}  // namespace

class StatsWatch::Impl {
 public:
  explicit Impl(const std::string& broker)
      : socket_(runtime::make_subscriber(transport_, "report/")) {
    // An address that cannot be connected to has no reports, which is found out soon enough.
    (void)runtime::connect_socket(socket_, runtime::stats_out_endpoint(broker));
  }

  bool wait(Duration patience) {
    zmq_pollitem_t item{socket_.handle(), 0, ZMQ_POLLIN, 0};
    const auto wait_ms = std::chrono::ceil<std::chrono::milliseconds>(patience).count();
    if (zmq_poll(&item, 1, wait_ms) <= 0) return false;
    while (read()) {
    }
    return true;
  }

  std::uint64_t sum(const std::string& name, const std::vector<wire::StatsReport::Label>& labels,
                    const std::string& only) const {
    double total = 0;
    for (const auto& [node, report] : reports_) {
      if (!only.empty() && node != only) continue;
      for (const auto& number : report.numbers) {
        if (number.name == name && has_all(number, labels)) total += number.value;
      }
    }
    return static_cast<std::uint64_t>(total);
  }

 private:
  bool read() {
    zmq::message_t part;
    if (zmq_msg_recv(part.handle(), socket_.handle(), ZMQ_DONTWAIT) < 0) return false;
    while (part.more()) {
      if (zmq_msg_recv(part.handle(), socket_.handle(), ZMQ_DONTWAIT) < 0) return false;
    }
    wire::StatsReport report;
    if (!wire::decode(part.to_string_view(), report)) return true;
    const std::string node = report.node;
    reports_.insert_or_assign(node, std::move(report));
    return true;
  }

  runtime::Transport transport_;
  zmq::socket_t socket_;
  std::map<std::string, wire::StatsReport> reports_;
};

StatsWatch::StatsWatch(const std::string& broker) : impl_(std::make_unique<Impl>(broker)) {}
StatsWatch::~StatsWatch() = default;

bool StatsWatch::wait(Duration patience) {
  return impl_->wait(patience);
}

std::uint64_t StatsWatch::sum(const std::string& number,
                              const std::vector<wire::StatsReport::Label>& labels,
                              const std::string& node) const {
  return impl_->sum(number, labels, node);
}

}  // namespace tempest::bench
