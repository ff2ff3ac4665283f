#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "source_node/message_store.hpp"
#include "source_node/message_traces.hpp"
#include "tempest/base/random.hpp"
#include "tempest/link/client.hpp"
#include "tempest/link/node.hpp"
#include "tempest/registry/directory.hpp"
#include "tempest/wire/frames.hpp"

namespace tempest::source_node {

/// A coordinator as the source sees it: its link, its window and what it was given.
struct Coordinator {
  std::string name;
  std::string endpoint;
  link::Client client;
  bool listed = true;  ///< Still in the directory.
  wire::Window window;
  MessageList sent;             ///< In the order of sending.
  TimePoint paused_until = {};  ///< It gave messages back: nothing new before this.
  /// wire::failure_cost() of what it has told of in this session, and may tell of.
  std::uint64_t failures_taken = 0;
  std::uint64_t failures_granted = 0;
};

/// Something a coordinator's link brought that its owner must deal with.
struct CoordinatorEvent {
  enum class Kind : std::uint8_t { outcomes, lost };
  Kind kind{};
  link::ChannelId channel{};
  std::string_view body;  ///< outcomes: good as long as the received frame.
};

/// The links to a topology's coordinators: opens one for each that the directory lists, and shares
/// messages out over them within their windows. A link that is up outlives its place in the
/// directory: a restarted broker may not know the coordinator yet.
class Coordinators {
 public:
  Coordinators(link::Identity self, const link::Settings& settings, std::uint64_t seed);

  void set_directory(const registry::Directory& directory, TimePoint now, link::Effects& effects);

  bool owns(link::ChannelId channel) const { return coordinators_.contains(channel); }
  void receive(link::ChannelId channel, std::string_view frame, TimePoint now,
               link::Effects& effects, std::vector<CoordinatorEvent>& events);
  void turn(TimePoint now, link::Effects& effects, std::vector<CoordinatorEvent>& events);
  TimePoint next_turn(bool messages_wait) const;

  /// Sends from the front of `queue` until it is empty or nobody has room: each time to the one
  /// with the largest free share of its window. Returns how many were sent before.
  std::uint64_t send(MessageStore& store, MessageList& queue, MessageTraces& traces, TimePoint now,
                     link::Effects& effects);

  /// Lets coordinators tell of failed messages: so many bytes more (wire::failure_cost()), shared
  /// out evenly.
  void grant_failures(std::uint64_t room, TimePoint now, link::Effects& effects);

  /// Whether messages are sent with their ages: the topology has a max_age.
  void set_sends_ages(bool sends_ages) { sends_ages_ = sends_ages; }

  /// What came over it cannot be read: its session is given up, and its messages go elsewhere.
  void give_up(link::ChannelId channel, TimePoint now, link::Effects& effects,
               std::vector<CoordinatorEvent>& events);

  /// The coordinator of a channel; null if there is none.
  Coordinator* find(link::ChannelId channel);
  /// The channel's messages were taken from its list: closes it if nothing else keeps it.
  void forget_if_gone(link::ChannelId channel, link::Effects& effects);

  /// True if any has a window, so that reading more makes sense.
  bool any_open() const;
  std::size_t up_count() const;
  std::uint64_t sent_count() const;
  std::uint64_t malformed() const { return malformed_; }
  link::Counters counters() const;
  link::Backlog backlog() const;

  void close(std::string_view reason, TimePoint now, link::Effects& effects);

 private:
  void open(const registry::Directory::Coordinator& listed, link::Effects& effects);
  void carry_out(link::ChannelId channel, Coordinator& coordinator, TimePoint now,
                 link::Effects& effects, std::vector<CoordinatorEvent>& events);
  void take_body(link::ChannelId channel, Coordinator& coordinator, const link::Event& event,
                 TimePoint now, std::vector<CoordinatorEvent>& events);
  void attach(Coordinator& coordinator, TimePoint now);
  std::uint64_t failure_share() const;
  void send_frames(link::ChannelId channel, link::Effects& effects);
  std::uint64_t send_chunk(link::ChannelId channel, Coordinator& coordinator,
                           std::uint64_t max_messages, MessageStore& store, MessageList& queue,
                           MessageTraces& traces, TimePoint now, link::Effects& effects);
  Coordinator* most_free(TimePoint now, link::ChannelId& channel, std::uint64_t& ready_count);
  void drop(link::ChannelId channel, link::Effects& effects);

  link::Identity self_;
  link::Settings settings_;
  Random random_;
  std::string topology_version_;
  bool sends_ages_ = false;
  std::uint64_t failure_room_ = 0;
  std::map<link::ChannelId, Coordinator> coordinators_;
  std::uint32_t next_channel_ = static_cast<std::uint32_t>(link::kFirstCoordinator);
  std::uint64_t malformed_ = 0;
  link::Counters past_counters_;  ///< Of links that are closed.

  // Reused from step to step.
  link::Output output_;
  wire::Messages messages_;
};

}  // namespace tempest::source_node
