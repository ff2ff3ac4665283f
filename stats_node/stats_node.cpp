#include "stats_node/stats_node.hpp"

namespace tempest::stats_node {

StatsNode::StatsNode(link::Identity self, std::vector<std::string> brokers,
                     const link::Settings& settings, std::uint64_t seed, StatsBoard& board)
    : self_(std::move(self)), member_(self_, std::move(brokers), settings, seed), board_(board) {}

void StatsNode::start(TimePoint now, link::Effects& effects) {
  started_ = now;
  member_.start(now, effects);
  member_.set_registration({}, now, effects);
}

void StatsNode::receive(const link::FrameReceived& received, TimePoint now,
                        link::Effects& effects) {
  member_.receive(received.channel, received.frame.view(), now, effects);
}

void StatsNode::turn(TimePoint now, link::Effects& effects) {
  member_.turn(now, effects);
  board_.set_brokers_up(member_.brokers_up());
}

TimePoint StatsNode::next_turn() const {
  return member_.next_turn();
}

void StatsNode::stop(bool /*at_once*/, TimePoint now, link::Effects& effects) {
  board_.set_draining();
  member_.close("stopping", now, effects);
  effects.finished = true;
}

void StatsNode::report(TimePoint now, wire::StatsReport& report) const {
  report.node = self_.name;
  report.role = self_.role;
  report.incarnation = self_.incarnation;
  report.uptime_ms = static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(now - started_).count());
  const auto counter = [&](const char* name, std::uint64_t value) {
    report.numbers.push_back({name, {}, static_cast<double>(value), true});
  };
  const StatsMachine::Counters counters = board_.counters();
  counter("tempest_stats_reports_total", counters.reports);
  counter("tempest_stats_reports_repeated_total", counters.repeated);
  counter("tempest_stats_reports_refused_total", counters.refused);
  counter("tempest_stats_reports_malformed_total", board_.malformed());
  counter("tempest_stats_series_dropped_total", counters.dropped_series);
}

}  // namespace tempest::stats_node
