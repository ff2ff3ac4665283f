#pragma once

#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "broker/broker_machine.hpp"
#include "tempest/registry/member.hpp"

namespace tempest::broker {

/// Brokers and nodes wired together in memory, on a clock that the test moves. Frames arrive at
/// once and in order unless the way is cut.
class World {
 public:
  struct Node {
    link::Identity identity;
    std::unique_ptr<registry::Member> member;
    std::vector<std::string> brokers;
    std::vector<std::string> notices;
    /// Every directory the node has had, in order.
    std::vector<registry::Directory> directories;

    const registry::Directory& directory() const { return member->directory(); }
    bool sees_coordinator(const std::string& name) const {
      return std::any_of(directory().coordinators.begin(), directory().coordinators.end(),
                         [&](const auto& coordinator) { return coordinator.name == name; });
    }
    std::vector<std::string> workers() const {
      std::vector<std::string> names;
      for (const auto& worker : directory().workers) names.push_back(worker.name);
      return names;
    }
    std::size_t notices_with(const std::string& text) const {
      return static_cast<std::size_t>(std::count_if(
          notices.begin(), notices.end(),
          [&](const std::string& notice) { return notice.find(text) != std::string::npos; }));
    }
  };

  struct Broker {
    std::unique_ptr<BrokerMachine> machine;
    std::vector<std::string> notices;
  };

  static constexpr Duration kLease = std::chrono::seconds(3);

  TimePoint now() const { return now_; }

  /// Starts a broker at this endpoint, in the place of the one that was there.
  Broker& start_broker(const std::string& endpoint) {
    Broker& broker = brokers_[endpoint];
    broker = {};
    broker.machine = std::make_unique<BrokerMachine>(
        link::Identity{Role::broker, endpoint, next_incarnation(), {}}, link::Settings{});
    broker.machine->start(now_);
    return broker;
  }
  void kill_broker(const std::string& endpoint) { brokers_.erase(endpoint); }
  Broker& broker(const std::string& endpoint) { return brokers_.at(endpoint); }

  /// Starts a node, in the place of the one of that name.
  Node& start_node(Role role, const std::string& name, const std::string& topology,
                   std::vector<std::string> brokers, registry::Registration registration = {}) {
    Node& node = nodes_[name];
    node = {};
    node.identity = {role, name, next_incarnation(), topology};
    node.brokers = brokers;
    node.member = std::make_unique<registry::Member>(node.identity, std::move(brokers),
                                                     link::Settings{}, ++seed_);
    link::Effects effects;
    node.member->start(now_, effects);
    node.member->set_registration(std::move(registration), now_, effects);
    carry_out(node, effects);
    return node;
  }
  /// As kill -9 does: without a word.
  void kill_node(const std::string& name) { nodes_.erase(name); }
  Node& node(const std::string& name) { return nodes_.at(name); }

  void cut(const std::string& node, const std::string& broker) { cuts_.insert({node, broker}); }
  void mend(const std::string& node, const std::string& broker) { cuts_.erase({node, broker}); }

  void set_registration(Node& node, registry::Registration registration) {
    link::Effects effects;
    node.member->set_registration(std::move(registration), now_, effects);
    carry_out(node, effects);
  }
  void report_slots(Node& node, registry::SlotReport report) {
    link::Effects effects;
    node.member->report_slots(std::move(report), now_, effects);
    carry_out(node, effects);
  }
  void settle_slots(Node& node, std::uint64_t slots_revision) {
    report_slots(node, {slots_revision, {}, {}, {}});
  }
  void close(Node& node) {
    link::Effects effects;
    node.member->close("ends", now_, effects);
    carry_out(node, effects);
  }

  /// A raw frame to a broker, and whatever comes back to that routing id.
  void send_raw(const std::string& endpoint, const std::string& routing_id, SharedBytes frame) {
    to_brokers_.push_back({endpoint, routing_id, std::move(frame)});
  }
  std::vector<SharedBytes> take_raw(const std::string& routing_id) {
    return std::exchange(raw_[routing_id], {});
  }

  void run(Duration duration) {
    for (const TimePoint end = now_ + duration; now_ < end;) step();
  }
  /// False if it does not come about within this time.
  bool run_until(const std::function<bool()>& condition,
                 Duration within = std::chrono::seconds(30)) {
    for (const TimePoint end = now_ + within; !condition();) {
      if (now_ >= end) return false;
      step();
    }
    return true;
  }

 private:
  struct ToBroker {
    std::string endpoint;
    std::string routing_id;
    SharedBytes frame;
  };
  struct ToNode {
    std::string endpoint;
    std::string routing_id;
    SharedBytes frame;
  };

  Incarnation next_incarnation() { return {1, ++incarnations_}; }

  static std::string routing_id_of(const Node& node) {
    return node.identity.name + "#" + to_string(node.identity.incarnation);
  }

  void step() {
    now_ += std::chrono::milliseconds(10);
    for (auto& [endpoint, broker] : brokers_) turn(endpoint, broker);
    for (auto& [name, node] : nodes_) {
      link::Effects effects;
      note_change(node, node.member->turn(now_, effects));
      carry_out(node, effects);
    }
    while (!to_brokers_.empty() || !to_nodes_.empty()) deliver();
  }

  void turn(const std::string& endpoint, Broker& broker) {
    link::Effects effects;
    broker.machine->turn(now_, effects);
    carry_out(endpoint, broker, effects);
  }

  void deliver() {
    std::set<std::string> touched;
    for (ToBroker& item : std::exchange(to_brokers_, {})) {
      const auto broker = brokers_.find(item.endpoint);
      if (broker == brokers_.end()) continue;
      link::Effects effects;
      broker->second.machine->receive({link::kListener, item.routing_id, item.frame}, now_,
                                      effects);
      carry_out(item.endpoint, broker->second, effects);
      touched.insert(item.endpoint);
    }
    for (const std::string& endpoint : touched) turn(endpoint, brokers_.at(endpoint));
    for (ToNode& item : std::exchange(to_nodes_, {})) deliver_to_node(item);
  }

  void deliver_to_node(const ToNode& item) {
    for (auto& [name, node] : nodes_) {
      if (routing_id_of(node) != item.routing_id) continue;
      if (cuts_.contains({name, item.endpoint})) return;
      const auto place = std::find(node.brokers.begin(), node.brokers.end(), item.endpoint);
      const auto channel = static_cast<std::uint32_t>(link::kFirstBroker) +
                           static_cast<std::uint32_t>(place - node.brokers.begin());
      link::Effects effects;
      note_change(node,
                  node.member->receive(link::ChannelId{channel}, item.frame.view(), now_, effects));
      carry_out(node, effects);
      return;
    }
    raw_[item.routing_id].push_back(item.frame);
  }

  static void note_change(Node& node, bool changed) {
    if (changed) node.directories.push_back(node.member->directory());
  }

  void carry_out(Node& node, link::Effects& effects) {
    for (auto& send : effects.sends) {
      const auto index =
          static_cast<std::uint32_t>(send.channel) - static_cast<std::uint32_t>(link::kFirstBroker);
      const std::string& endpoint = node.brokers.at(index);
      if (cuts_.contains({node.identity.name, endpoint})) continue;
      to_brokers_.push_back({endpoint, routing_id_of(node), std::move(send.frame)});
    }
    for (auto& notice : effects.notices) node.notices.push_back(std::move(notice.text));
  }

  void carry_out(const std::string& endpoint, Broker& broker, link::Effects& effects) {
    for (auto& send : effects.sends) {
      to_nodes_.push_back({endpoint, send.routing_id, std::move(send.frame)});
    }
    for (auto& notice : effects.notices) broker.notices.push_back(std::move(notice.text));
  }

  TimePoint now_{std::chrono::seconds(1000)};
  std::uint64_t incarnations_ = 0;
  std::uint64_t seed_ = 0;
  std::map<std::string, Broker> brokers_;
  std::map<std::string, Node> nodes_;
  std::set<std::pair<std::string, std::string>> cuts_;
  std::deque<ToBroker> to_brokers_;
  std::deque<ToNode> to_nodes_;
  std::map<std::string, std::vector<SharedBytes>> raw_;
};

}  // namespace tempest::broker
