#include "pipeline_node/pipeline_node.hpp"

#include <utility>

namespace tempest::pipeline_node {

PipelineNode::PipelineNode(const link::Identity& self, PipelineSettings settings, Topology topology,
                           std::uint64_t seed)
    : self_(self), machine_(self, std::move(settings), std::move(topology), seed) {}

void PipelineNode::start(TimePoint now, link::Effects& effects) {
  started_ = now;
  machine_.start(now, effects);
}

void PipelineNode::receive(const link::FrameReceived& received, TimePoint now,
                           link::Effects& effects) {
  machine_.receive(received, now, effects);
}

void PipelineNode::turn(TimePoint now, link::Effects& effects) {
  machine_.turn(now, effects);
}

TimePoint PipelineNode::next_turn() const {
  return machine_.next_turn();
}

void PipelineNode::stop(bool at_once, TimePoint now, link::Effects& effects) {
  machine_.stop(at_once, now, effects);
}

void PipelineNode::report(TimePoint now, wire::StatsReport& report) const {
  link::identify(self_, started_, now, report);
  machine_.report(now, report);
}

}  // namespace tempest::pipeline_node
