#include "cli/operator_node.hpp"

#include <unistd.h>

#include <algorithm>
#include <utility>

#include "tempest/base/random.hpp"
#include "tempest/runtime/node_program.hpp"

namespace tempest::cli {
namespace {

link::ChannelId channel_of(std::size_t broker) {
  return link::ChannelId{static_cast<std::uint32_t>(link::kFirstBroker) +
                         static_cast<std::uint32_t>(broker)};
}

}  // namespace

OperatorNode::OperatorNode(const link::Identity& self, Options options)
    : options_(std::move(options)) {
  Random random(options_.seed);
  for (std::size_t i = 0; i < options_.brokers.size(); ++i) {
    links_.emplace_back(self, options_.link, random.next(), link::Wanted{Role::broker, {}, {}});
  }
}

void OperatorNode::start(TimePoint now, link::Effects& effects) {
  if (options_.patience < kNever - now) deadline_ = now + options_.patience;
  for (std::size_t i = 0; i < links_.size(); ++i) {
    effects.opens.push_back({channel_of(i), options_.brokers[i]});
  }
}

void OperatorNode::receive(const link::FrameReceived& received, TimePoint now,
                           link::Effects& effects) {
  const std::size_t broker =
      static_cast<std::uint32_t>(received.channel) - static_cast<std::uint32_t>(link::kFirstBroker);
  if (broker >= links_.size()) return;
  link::Output output;
  links_[broker].receive(received.frame.view(), now, output);
  carry_out(broker, output, now, effects);
}

void OperatorNode::turn(TimePoint now, link::Effects& effects) {
  for (std::size_t i = 0; i < links_.size(); ++i) {
    link::Output output;
    links_[i].turn(now, output);
    carry_out(i, output, now, effects);
    if (!is_heard_ && options_.heard && links_[i].is_up() && links_[i].all_confirmed()) {
      is_heard_ = true;
      options_.heard();
    }
  }
  if (heard_enough_ || now >= deadline_) finish(now, effects);
}

TimePoint OperatorNode::next_turn() const {
  TimePoint next = deadline_;
  for (const link::Client& link : links_) next = std::min(next, link.next_turn());
  return next;
}

void OperatorNode::stop(bool /*at_once*/, TimePoint now, link::Effects& effects) {
  finish(now, effects);
}

void OperatorNode::report(TimePoint /*now*/, wire::StatsReport& /*report*/) const {}

void OperatorNode::carry_out(std::size_t broker, link::Output& output, TimePoint now,
                             link::Effects& effects) {
  for (std::size_t i = 0; i < output.events.size(); ++i) {
    const link::Event event = output.events[i];
    if (event.kind == link::Event::Kind::up) {
      links_[broker].send(options_.says, options_.frame, now, output);
    }
    if (event.kind == link::Event::Kind::refused) {
      refusal_ = options_.brokers[broker] + " refuses: " + *event.text;
    }
    if (event.kind == link::Event::Kind::body && options_.hears) {
      heard_enough_ = options_.hears(event) || heard_enough_;
    }
  }
  for (link::Outgoing& outgoing : output.frames) {
    effects.sends.push_back({channel_of(broker), {}, std::move(outgoing.frame)});
  }
}

void OperatorNode::finish(TimePoint now, link::Effects& effects) {
  if (effects.finished) return;
  for (std::size_t i = 0; i < links_.size(); ++i) {
    link::Output output;
    links_[i].close("answered", now, output);
    for (link::Outgoing& outgoing : output.frames) {
      effects.sends.push_back({channel_of(i), {}, std::move(outgoing.frame)});
    }
  }
  effects.finished = true;
}

Result<void> check_brokers(const std::vector<std::string>& brokers) {
  for (const std::string& broker : brokers) {
    if (!runtime::stats_in_endpoint(broker).empty()) continue;
    return Error{ErrorCode::invalid_argument,
                 "--broker takes an address such as tcp://127.0.0.1:5550, not '" + broker + "'"};
  }
  return {};
}

link::Identity operator_identity() {
  return runtime::make_identity(
      Role::operator_, "operator@" + runtime::host_name() + ":" + std::to_string(::getpid()), {});
}

runtime::NodeLoopOptions operator_loop_options(const link::Identity& self) {
  runtime::NodeLoopOptions options;
  options.node_name = self.name;
  options.routing_id = to_string(self.incarnation);
  return options;
}

}  // namespace tempest::cli
