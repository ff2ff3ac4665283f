#include "cli/broker_query.hpp"

#include <unistd.h>

#include <algorithm>
#include <optional>

#include "tempest/link/client.hpp"
#include "tempest/link/node.hpp"
#include "tempest/runtime/clock.hpp"
#include "tempest/runtime/exit_code.hpp"
#include "tempest/runtime/logging.hpp"
#include "tempest/runtime/node_loop.hpp"
#include "tempest/runtime/node_program.hpp"
#include "tempest/runtime/transport.hpp"
#include "tempest/wire/codec.hpp"

namespace tempest::cli {
namespace {

std::vector<ListedNode> own(const wire::Snapshot& snapshot) {
  std::vector<ListedNode> nodes;
  for (const wire::Snapshot::Node& node : snapshot.nodes) {
    nodes.push_back({node.role,
                     std::string(node.name),
                     node.incarnation,
                     std::string(node.topology),
                     std::string(node.topology_version),
                     std::string(node.endpoint),
                     {node.tasks.begin(), node.tasks.end()},
                     std::string(node.state),
                     node.age_ms});
  }
  return nodes;
}

/// A node that lives for one question: it opens a link to each broker, asks, and ends with the
/// first answer.
class Question : public runtime::Node {
 public:
  Question(const link::Identity& self, const std::vector<std::string>& brokers, Duration patience)
      : patience_(patience) {
    Random random(runtime::random_seed());
    for (const std::string& broker : brokers) {
      brokers_.push_back({broker, link::Client(self, link::Settings{}, random.next())});
    }
  }

  void start(TimePoint now, link::Effects& effects) override {
    deadline_ = now + patience_;
    for (std::size_t i = 0; i < brokers_.size(); ++i) {
      effects.opens.push_back({channel_of(i), brokers_[i].endpoint});
    }
  }

  void receive(const link::FrameReceived& received, TimePoint now,
               link::Effects& effects) override {
    const std::size_t index = static_cast<std::uint32_t>(received.channel) -
                              static_cast<std::uint32_t>(link::kFirstBroker);
    if (index >= brokers_.size()) return;
    link::Output output;
    brokers_[index].client.receive(received.frame.view(), now, output);
    carry_out(index, output, now, effects);
  }

  void turn(TimePoint now, link::Effects& effects) override {
    for (std::size_t i = 0; i < brokers_.size(); ++i) {
      link::Output output;
      brokers_[i].client.turn(now, output);
      carry_out(i, output, now, effects);
    }
    if (answer_ || now >= deadline_) finish(now, effects);
  }

  TimePoint next_turn() const override {
    TimePoint next = deadline_;
    for (const Broker& broker : brokers_) next = std::min(next, broker.client.next_turn());
    return next;
  }

  void stop(bool /*at_once*/, TimePoint now, link::Effects& effects) override {
    finish(now, effects);
  }

  void report(TimePoint /*now*/, wire::StatsReport& /*report*/) const override {}

  std::optional<std::vector<ListedNode>> take_answer() { return std::move(answer_); }

 private:
  struct Broker {
    std::string endpoint;
    link::Client client;
  };

  static link::ChannelId channel_of(std::size_t index) {
    return link::ChannelId{static_cast<std::uint32_t>(link::kFirstBroker) +
                           static_cast<std::uint32_t>(index)};
  }

  void carry_out(std::size_t index, link::Output& output, TimePoint now, link::Effects& effects) {
    for (std::size_t i = 0; i < output.events.size(); ++i) {
      const link::Event event = output.events[i];
      if (event.kind == link::Event::Kind::up) ask(brokers_[index].client, now, output);
      if (event.kind != link::Event::Kind::body) continue;
      wire::Snapshot snapshot;
      if (event.body_kind == wire::BodyKind::snapshot && wire::decode(event.body, snapshot)) {
        answer_ = own(snapshot);
      }
    }
    for (link::Outgoing& outgoing : output.frames) {
      effects.sends.push_back({channel_of(index), {}, std::move(outgoing.frame)});
    }
  }

  static void ask(link::Client& client, TimePoint now, link::Output& output) {
    wire::Query query;
    query.id = 1;
    query.what = "nodes";
    client.send(wire::BodyKind::query, wire::data_frame(query), now, output);
  }

  void finish(TimePoint now, link::Effects& effects) {
    if (effects.finished) return;
    for (std::size_t i = 0; i < brokers_.size(); ++i) {
      link::Output output;
      brokers_[i].client.close("answered", now, output);
      for (link::Outgoing& outgoing : output.frames) {
        effects.sends.push_back({channel_of(i), {}, std::move(outgoing.frame)});
      }
    }
    effects.finished = true;
  }

  Duration patience_;
  TimePoint deadline_ = kNever;
  std::vector<Broker> brokers_;
  std::optional<std::vector<ListedNode>> answer_;
};

std::string joined(const std::vector<std::string>& brokers) {
  std::string text;
  for (const std::string& broker : brokers) text += (text.empty() ? "" : ", ") + broker;
  return text;
}

}  // namespace

Result<std::vector<ListedNode>> ask_for_nodes(const std::vector<std::string>& brokers,
                                              Duration patience) {
  for (const std::string& broker : brokers) {
    if (!runtime::stats_in_endpoint(broker).empty()) continue;
    return Error{ErrorCode::invalid_argument,
                 "--broker takes an address such as tcp://127.0.0.1:5550, not '" + broker + "'"};
  }
  if (auto started = runtime::start_logging("warning", "text"); !started) return started.error();
  const link::Identity self = runtime::make_identity(
      Role::operator_, "operator@" + runtime::host_name() + ":" + std::to_string(::getpid()), {});
  runtime::Transport transport;
  runtime::NodeLoopOptions options;
  options.node_name = self.name;
  options.routing_id = to_string(self.incarnation);
  runtime::NodeLoop loop(transport, options);
  Question question(self, brokers, patience);
  loop.run(question);
  if (auto answer = question.take_answer()) return std::move(*answer);
  return Error{ErrorCode::unavailable,
               "no broker answers at " + joined(brokers) +
                   "; start one with tempest-broker, or name another with --broker"};
}

}  // namespace tempest::cli
