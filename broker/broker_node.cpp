#include "broker/broker_node.hpp"

#include <utility>

namespace tempest::broker {
namespace {

/// How often three free ports in a row are looked for.
constexpr int kMaxPortAttempts = 64;

bool leaves_port_open(const std::string& bind) {
  return bind.starts_with("tcp://") && (bind.ends_with(":0") || bind.ends_with(":*"));
}

}  // namespace

BrokerNode::BrokerNode(link::Identity self, const link::Settings& settings)
    : self_(std::move(self)), machine_(self_, settings) {}

void BrokerNode::start(TimePoint now, link::Effects& effects) {
  started_ = now;
  machine_.start(now);
  effects.notify(link::Notice::Level::info, "listening on " + endpoint_);
}

void BrokerNode::receive(const link::FrameReceived& received, TimePoint now,
                         link::Effects& effects) {
  machine_.receive(received, now, effects);
}

void BrokerNode::turn(TimePoint now, link::Effects& effects) {
  machine_.turn(now, effects);
}

TimePoint BrokerNode::next_turn() const {
  return machine_.next_turn();
}

void BrokerNode::stop(bool /*at_once*/, TimePoint now, link::Effects& effects) {
  machine_.stop(now, effects);
}

void BrokerNode::report(TimePoint now, wire::StatsReport& report) const {
  report.node = self_.name;
  report.role = self_.role;
  report.incarnation = self_.incarnation;
  report.uptime_ms = static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(now - started_).count());
  machine_.report(report);
}

Broker::Broker(link::Identity self, const link::Settings& settings)
    : self_(std::move(self)), node_(self_, settings) {}

Result<std::unique_ptr<Broker>> Broker::open(runtime::Transport& transport,
                                             const runtime::NodeOptions& options,
                                             const std::string& bind) {
  std::unique_ptr<Broker> broker(
      new Broker(runtime::make_identity(Role::broker, options.name, {}), options.link));
  // Of an open port only the first is given; the two after it may be somebody's.
  const int attempts = leaves_port_open(bind) ? kMaxPortAttempts : 1;
  Result<void> opened;
  for (int i = 0; i < attempts; ++i) {
    opened = broker->try_open(transport, options, bind);
    if (opened) return broker;
  }
  return opened.error();
}

Result<void> Broker::try_open(runtime::Transport& transport, const runtime::NodeOptions& options,
                              const std::string& bind) {
  std::string wanted = bind;
  if (wanted.ends_with(":*")) wanted.replace(wanted.size() - 1, 1, "0");
  // The broker's own statistics take a way that is there wherever the bus is bound.
  const std::string own_stats = "inproc://broker-stats-in#" + to_string(self_.incarnation);
  runtime::NodeLoopOptions loop_options = runtime::loop_options(options, self_, wanted);
  loop_options.stats_endpoints = {own_stats};

  loop_.reset();
  loop_ = std::make_unique<runtime::NodeLoop>(transport, std::move(loop_options));
  if (auto bound = loop_->bind(); !bound) return bound;
  const std::string& control = loop_->bound_endpoint();
  auto bus = StatsBus::open(transport, {runtime::stats_in_endpoint(control), own_stats},
                            runtime::stats_out_endpoint(control));
  if (!bus) return bus.error();
  bus_ = std::move(*bus);
  node_.set_endpoint(control);
  return {};
}

}  // namespace tempest::broker
