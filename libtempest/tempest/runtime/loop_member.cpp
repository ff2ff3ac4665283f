#include "tempest/runtime/loop_member.hpp"

#include <algorithm>
#include <utility>

#include "tempest/runtime/clock.hpp"
#include "tempest/wire/codec.hpp"

namespace tempest::runtime {

namespace {

/// Hands the frames of one turn to the node.
class Reader final : public FrameSink {
 public:
  Reader(Node& node, TimePoint now, link::Effects& effects)
      : node_(node), now_(now), effects_(effects) {}

  void receive(link::ChannelId channel, std::string_view routing_id, SharedBytes frame) override {
    if (frame.size() > 0) node_.receive({channel, routing_id, std::move(frame)}, now_, effects_);
  }

 private:
  Node& node_;
  TimePoint now_;
  link::Effects& effects_;
};

}  // namespace

LoopMember::LoopMember(Transport& transport, NodeLoopOptions options)
    : transport_(transport),
      options_(std::move(options)),
      log_(options_.node_name),
      network_(transport, options_.routing_id, log_) {}

Result<void> LoopMember::bind() {
  if (options_.bind.empty()) return {};
  auto bound = network_.listen(options_.bind);
  if (!bound) return bound.error();
  bound_endpoint_ = *bound;
  return {};
}

void LoopMember::wake() {
  if (!wake_pending_.exchange(true)) network_.doorbell().ring();
}

void LoopMember::request_stop(bool at_once) {
  stop_requests_.fetch_add(at_once ? 2 : 1);
  network_.doorbell().ring_always();
}

void LoopMember::begin(Node& node) {
  node_ = &node;
  stats_.emplace(transport_, options_.stats_endpoints, log_);
  const TimePoint now = monotonic_now();
  if (stats_->is_open()) stats_at_ = now + options_.stats_interval;
  node.start(now, effects_);
  node.turn(now, effects_);
  carry_out(now);
}

void LoopMember::step(TimePoint now) {
  take_signals(now);
  Reader reader(*node_, now, effects_);
  network_.read(now, reader);
  node_->turn(now, effects_);
  carry_out(now);
  if (now >= stats_at_) publish_stats(now);
  next_step_ = std::min({node_->next_turn(), network_.next_turn(), stats_at_});
}

void LoopMember::end() {
  has_ended_ = true;
  // What was counted since the last time; otherwise it would never be known.
  publish_stats(monotonic_now());
  network_.close_all();
  stats_.reset();
}

void LoopMember::take_signals(TimePoint now) {
  if (wake_pending_.load(std::memory_order_relaxed) && wake_pending_.exchange(false)) {
    node_->woken(now, effects_);
  }
  const int requests = stop_requests_.load();
  if (requests > stops_taken_) {
    stops_taken_ = requests;
    node_->stop(requests > 1, now, effects_);
  }
}

void LoopMember::carry_out(TimePoint now) {
  for (const auto& open : effects_.opens) {
    if (auto opened = network_.open(open.channel, open.endpoint, now); !opened) {
      log_.error(opened.error().message);
    }
  }
  for (const auto& send : effects_.sends) network_.send(send, now);
  network_.flush(now);
  for (const auto channel : effects_.closes) network_.close(channel);
  for (const auto& notice : effects_.notices) log_.write(notice);
  for (const auto& publication : effects_.publications) {
    stats_->publish(publication.topic, publication.body);
  }
  effects_.opens.clear();
  effects_.sends.clear();
  effects_.closes.clear();
  effects_.notices.clear();
  effects_.publications.clear();
}

void LoopMember::publish_stats(TimePoint now) {
  if (!stats_->is_open()) return;
  stats_at_ = now + options_.stats_interval;
  wire::StatsReport report;
  node_->report(now, report);
  std::string frame;
  wire::encode(report, frame);
  stats_->publish("report/" + report.topology + "/" + options_.node_name, frame);
}

}  // namespace tempest::runtime
