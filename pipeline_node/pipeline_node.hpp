#pragma once

#include <cstdint>

#include "pipeline_node/pipeline_machine.hpp"
#include "tempest/runtime/node_loop.hpp"

namespace tempest::pipeline_node {

/// The coordinator's shell: its machine, as a NodeLoop drives it. It has no I/O of its own.
class PipelineNode : public runtime::Node {
 public:
  PipelineNode(const link::Identity& self, PipelineSettings settings, Topology topology,
               std::uint64_t seed);

  void start(TimePoint now, link::Effects& effects) override;
  void receive(const link::FrameReceived& received, TimePoint now, link::Effects& effects) override;
  void turn(TimePoint now, link::Effects& effects) override;
  TimePoint next_turn() const override;
  void stop(bool at_once, TimePoint now, link::Effects& effects) override;
  void report(TimePoint now, wire::StatsReport& report) const override;

 private:
  link::Identity self_;
  TimePoint started_{};
  PipelineMachine machine_;
};

}  // namespace tempest::pipeline_node
