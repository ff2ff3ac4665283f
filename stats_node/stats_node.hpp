#pragma once

#include "stats_node/stats_board.hpp"
#include "tempest/registry/member.hpp"
#include "tempest/runtime/node_loop.hpp"

namespace tempest::stats_node {

/// The stats node's place in the registry: it is listed, and says how its work goes. The work
/// itself is the bus thread's.
class StatsNode : public runtime::Node {
 public:
  /// The board must outlive the node.
  StatsNode(link::Identity self, std::vector<std::string> brokers, const link::Settings& settings,
            std::uint64_t seed, StatsBoard& board);

  void start(TimePoint now, link::Effects& effects) override;
  void receive(const link::FrameReceived& received, TimePoint now, link::Effects& effects) override;
  void turn(TimePoint now, link::Effects& effects) override;
  TimePoint next_turn() const override;
  void stop(bool at_once, TimePoint now, link::Effects& effects) override;
  void report(TimePoint now, wire::StatsReport& report) const override;

 private:
  link::Identity self_;
  registry::Member member_;
  StatsBoard& board_;
  TimePoint started_{};
};

}  // namespace tempest::stats_node
