#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tempest/base/result.hpp"
#include "tempest/link/node.hpp"
#include "tempest/link/server.hpp"
#include "tempest/registry/directory.hpp"

namespace tempest::broker {

/// What a broker decides, without sockets, clocks or logs: who is live, what each topology's nodes
/// are told of each other, and what operators are answered.
///
///     node                       broker
///     Registration       ->
///                        <-      Directory of the node's topology; again after every change
///     SlotSettlement     ->      (coordinators)
///     Query{"nodes"}     ->      (operators)
///                        <-      Snapshot
///     Watch              ->      (operators; it holds as long as the session)
///
/// Soft state only: all of it comes from sessions and goes with them. After a restart nodes come
/// back one by one; registrations that say a worker list was known before make the broker withhold
/// its own (slots_revision 0) for two leases, so that the slots of keys do not wander over half a
/// list. Bounded: kMaxNodes sessions, kMaxRegisteredBytes of what they say.
class BrokerMachine {
 public:
  /// The most that all registrations together may hold, so that a directory always fits a frame.
  static constexpr std::size_t kMaxRegisteredBytes = kMaxFrameBytes / 2;
  /// The most that operators may watch at once in one topology. The rest waits for its turn.
  static constexpr std::size_t kMaxWatches = 16;

  BrokerMachine(link::Identity self, const link::Settings& settings);

  void start(TimePoint now);
  void receive(const link::FrameReceived& received, TimePoint now, link::Effects& effects);
  /// Sends the directories that have changed: one to each node, however much has happened.
  void turn(TimePoint now, link::Effects& effects);
  TimePoint next_turn() const;
  void stop(TimePoint now, link::Effects& effects);
  void report(wire::StatsReport& report) const;

  struct Counters {
    std::uint64_t registrations = 0;
    std::uint64_t registrations_refused = 0;
    std::uint64_t directories_sent = 0;
    std::uint64_t queries = 0;
    std::uint64_t queries_dropped = 0;
    std::uint64_t malformed_bodies = 0;
  };
  const Counters& counters() const { return counters_; }

 private:
  struct Session {
    link::Identity identity;
    TimePoint since{};
    bool registered = false;
    registry::Registration registration;
    std::size_t registered_bytes = 0;
    TimePoint definition_since{};
    std::uint64_t settled = 0;  ///< Coordinators.
    bool starts_settled = false;
    registry::SlotReport slots;  ///< Coordinators: what they said last.
    std::size_t slots_bytes = 0;
    std::uint64_t sent_revision = 0;   ///< Of the last directory sent.
    std::optional<wire::Watch> watch;  ///< Operators: what they want to be shown.
  };

  struct Topology {
    /// Registered nodes, in the order in which a directory lists them.
    std::map<std::pair<Role, std::string>, PeerId> nodes;
    TimePoint all_back_at{};
    bool known_before = false;
    bool dirty = true;
    std::uint64_t revision = 0;
    registry::Directory said;  ///< In this revision.
    std::string directory;     ///< The body of this revision, encoded.
    std::vector<registry::Directory::Worker> workers;
    std::uint64_t slots_revision = 0;

    bool withholds_workers(TimePoint now) const { return known_before && now < all_back_at; }
  };

  void carry_out(link::Output& output, TimePoint now, link::Effects& effects);
  void came_up(const link::Event& event, TimePoint now, link::Effects& effects);
  void went_away(const link::Event& event, link::Effects& effects);
  void hear(const link::Event& event, TimePoint now, link::Effects& effects);
  void register_node(PeerId peer, const wire::Registration& said, TimePoint now,
                     link::Effects& effects);
  void join(Session& session, PeerId peer, const wire::Registration& said, bool first,
            TimePoint now);
  void leave(const Session& session, PeerId peer);
  Result<void> settle(PeerId peer, const wire::SlotSettlement& settlement, link::Effects& effects);
  void answer(PeerId peer, const wire::Query& query, TimePoint now);
  Result<void> watch(PeerId peer, wire::Watch wanted);
  void watches_changed(const wire::Watch& watch);
  std::vector<wire::Watch> watches_of(const std::string& topology) const;
  void refresh(const std::string& name, Topology& topology, TimePoint now);
  /// Those that are registered here, and those that are attached to a coordinator; with how many
  /// coordinators miss them.
  std::vector<registry::Directory::Worker> list_workers(const Topology& topology) const;
  void settle_newcomers(const Topology& topology);
  void send_directories(TimePoint now);

  link::Identity self_;
  Duration grace_;
  TimePoint started_{};
  link::Server server_;
  std::map<PeerId, Session> sessions_;
  std::map<std::string, Topology, std::less<>> topologies_;
  /// By role and name, of live sessions: whose place was taken last, and whose before that.
  struct Displaced {
    Incarnation last;
    Incarnation before;
  };
  std::map<std::pair<Role, std::string>, Displaced> displaced_;
  std::size_t registered_bytes_ = 0;
  link::Output output_;
  Counters counters_;
};

}  // namespace tempest::broker
