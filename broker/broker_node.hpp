#pragma once

#include <memory>
#include <string>

#include "broker/broker_machine.hpp"
#include "broker/stats_bus.hpp"
#include "tempest/base/result.hpp"
#include "tempest/runtime/node_loop.hpp"
#include "tempest/runtime/node_program.hpp"
#include "tempest/runtime/transport.hpp"

namespace tempest::broker {

/// The shell around a BrokerMachine. Nothing is decided here.
class BrokerNode : public runtime::Node {
 public:
  BrokerNode(link::Identity self, const link::Settings& settings);

  /// For the log: where the control channel is bound.
  void set_endpoint(std::string endpoint) { endpoint_ = std::move(endpoint); }

  void start(TimePoint now, link::Effects& effects) override;
  void receive(const link::FrameReceived& received, TimePoint now, link::Effects& effects) override;
  void turn(TimePoint now, link::Effects& effects) override;
  TimePoint next_turn() const override;
  void stop(bool at_once, TimePoint now, link::Effects& effects) override;
  void report(TimePoint now, wire::StatsReport& report) const override;

 private:
  link::Identity self_;
  BrokerMachine machine_;
  std::string endpoint_;
  TimePoint started_{};
};

/// A whole broker, bound and ready: its control node, the loop to run it in, and its stats bus.
/// For the program, and for whoever keeps a broker within its own process.
///
///     auto broker = Broker::open(transport, options, "inproc://broker");
///     std::thread thread([&] { (*broker)->run(); });
///     ... (*broker)->loop().request_stop(false); thread.join();
class Broker {
 public:
  /// `bind`: "tcp://HOST:PORT" (the two ports after it are the stats bus's; 0 or *: any three in a
  /// row that are free), "ipc://PATH" or "inproc://NAME". `unavailable`, with what to do, if an
  /// address is taken. `transport` must outlive the broker.
  static Result<std::unique_ptr<Broker>> open(runtime::Transport& transport,
                                              const runtime::NodeOptions& options,
                                              const std::string& bind);

  /// Where it is bound, the port filled in.
  const std::string& endpoint() const { return loop_->bound_endpoint(); }
  runtime::NodeLoop& loop() { return *loop_; }
  runtime::Node& node() { return node_; }
  /// In the calling thread until the loop is asked to stop. Gives the exit code.
  int run() { return loop_->run(node_); }

 private:
  Broker(link::Identity self, const link::Settings& settings);
  Result<void> try_open(runtime::Transport& transport, const runtime::NodeOptions& options,
                        const std::string& bind);

  link::Identity self_;
  BrokerNode node_;
  std::unique_ptr<StatsBus> bus_;
  std::unique_ptr<runtime::NodeLoop> loop_;
};

}  // namespace tempest::broker
