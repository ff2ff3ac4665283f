#pragma once

#include <functional>
#include <string>
#include <vector>

#include "tempest/link/client.hpp"
#include "tempest/link/link.hpp"
#include "tempest/runtime/node_loop.hpp"
#include "tempest/runtime/transport.hpp"

namespace tempest::cli {

/// An operator as brokers see him: opens a link to each, says one thing over each link as soon as
/// it is up, and hears the answers, until somebody stops it, an answer is enough, or its patience
/// is over.
class OperatorNode : public runtime::Node {
 public:
  struct Options {
    std::vector<std::string> brokers;
    wire::BodyKind says{};
    std::string frame;  ///< wire::data_frame() of it.
    /// True: that is enough. Null: nothing ever is.
    std::function<bool(const link::Event& body)> hears = {};
    /// Called once, when a broker has confirmed what it was told. From the loop's thread.
    std::function<void()> heard = {};
    Duration patience = Duration::max();
    link::Settings link = {};
    std::uint64_t seed = 0;  ///< Of the numbers that its links draw.
  };

  OperatorNode(const link::Identity& self, Options options);

  void start(TimePoint now, link::Effects& effects) override;
  void receive(const link::FrameReceived& received, TimePoint now, link::Effects& effects) override;
  void turn(TimePoint now, link::Effects& effects) override;
  TimePoint next_turn() const override;
  void stop(bool at_once, TimePoint now, link::Effects& effects) override;
  void report(TimePoint now, wire::StatsReport& report) const override;

  /// Why there was no session with one of the brokers, and which; empty if nobody refused.
  const std::string& refusal() const { return refusal_; }

 private:
  void carry_out(std::size_t broker, link::Output& output, TimePoint now, link::Effects& effects);
  void finish(TimePoint now, link::Effects& effects);

  Options options_;
  std::vector<link::Client> links_;  ///< By broker.
  std::string refusal_;
  TimePoint deadline_ = kNever;
  bool heard_enough_ = false;
  bool is_heard_ = false;
};

/// The first --broker that is of no known form is an `invalid_argument`.
Result<void> check_brokers(const std::vector<std::string>& brokers);

/// A name and an incarnation for this process.
link::Identity operator_identity();
/// A loop for an OperatorNode: it publishes nothing.
runtime::NodeLoopOptions operator_loop_options(const link::Identity& self);

}  // namespace tempest::cli
