#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tempest/link/client.hpp"
#include "tempest/link/node.hpp"
#include "tempest/registry/directory.hpp"

namespace tempest::registry {

/// A node's side of the registry: keeps a link to each broker, registers with all of them, and
/// makes one directory of what they say. Part of each role's machine (not of the broker's); pure,
/// like it.
///
/// A broker that is away takes nothing from the directory: what it last said stays until it, or
/// another broker, says something newer. A broker that comes back may have forgotten everything and
/// hears of the nodes one after the other, so for two leases it takes nothing away either:
/// coordinators it does not list (yet) stay, the definition does not fall back to an older one, and
/// the worker list stays until the broker states one with a higher revision.
///
/// Several brokers: coordinators are united by name (of two incarnations under one name, the one
/// that was news last wins); the definition and the workers are taken from the first broker in the
/// order of the options that can state them, so that all nodes that see the same brokers agree.
///
/// What operators watch is the one thing that goes with the broker that said so: nobody may be left
/// to end it.
class Member {
 public:
  /// `brokers`: their endpoints; broker i gets channel kFirstBroker + i.
  Member(link::Identity self, std::vector<std::string> brokers, const link::Settings& settings,
         std::uint64_t seed);
  Member(const Member&) = delete;
  Member& operator=(const Member&) = delete;

  /// Opens the channels. Once, before everything else.
  void start(TimePoint now, link::Effects& effects);

  /// True if this channel is one of the member's.
  bool owns(link::ChannelId channel) const;
  /// Returns true if directory() has changed.
  bool receive(link::ChannelId channel, std::string_view frame, TimePoint now,
               link::Effects& effects);
  /// Returns true if directory() has changed: time makes a returned broker's word final.
  bool turn(TimePoint now, link::Effects& effects);
  TimePoint next_turn() const;

  /// Sent at once to every broker that is up, and to each that comes up later.
  void set_registration(Registration registration, TimePoint now, link::Effects& effects);
  const Registration& registration() const { return registration_; }

  /// Says what a coordinator has in flight and who is attached to it; as set_registration().
  void report_slots(SlotReport report, TimePoint now, link::Effects& effects);
  const SlotReport& slot_report() const { return slot_report_; }

  const Directory& directory() const { return directory_; }
  /// True once any broker has said anything.
  bool has_directory() const { return has_directory_; }
  std::size_t brokers_up() const;
  /// True while a broker says what the workers and their slots are. What was last said of them
  /// stays otherwise, and may be out of date.
  bool knows_workers() const { return workers_from_ != nullptr; }

  /// Says goodbye to the brokers, so that they need not wait for the lease.
  void close(std::string_view reason, TimePoint now, link::Effects& effects);

 private:
  struct Listed {
    Directory::Coordinator coordinator;
    std::uint64_t heard = 0;  ///< When, in the order of all news, this was last news.
    bool carried = false;     ///< From an earlier session; not (yet) listed in this one.
  };

  struct Broker {
    std::string endpoint;
    link::Client client;
    TimePoint report_away_at = kNever;
    bool reported_away = false;

    /// What it last said. Directory::coordinators is in `coordinators` instead.
    Directory word;
    std::map<std::string, Listed, std::less<>> coordinators;
    bool has_spoken = false;  ///< In this session.
    TimePoint forget_carried_at = kNever;
    std::uint64_t told_revision = 0;  ///< In this session, by our registration.
  };

  void carry_out(Broker& broker, link::Output& output, TimePoint now, link::Effects& effects);
  void came_up(Broker& broker, TimePoint now, link::Output& output, link::Effects& effects);
  void went_away(Broker& broker, TimePoint now);
  /// False: it cannot be read.
  bool hear(Broker& broker, std::string_view body, link::Effects& effects);
  void forget(Broker& broker, std::string_view name);
  void forget_carried(Broker& broker);
  void send_registration(Broker& broker, TimePoint now, link::Output& output);
  void send_slot_report(Broker& broker, TimePoint now, link::Output& output);

  void merge(TimePoint now, link::Effects& effects);
  void merge_coordinators(Directory& merged) const;
  void merge_definition(Directory& merged) const;
  void merge_watches(Directory& merged) const;
  /// The broker whose word of the workers counts now; null: none, what is known stays.
  Broker* chosen_for_workers();
  /// Whether that word continues what is known, so that a revision means the same to all.
  bool continues_known(const Broker& broker) const;

  link::ChannelId channel_of(const Broker& broker) const;

  link::Identity self_;
  Duration grace_;
  std::vector<Broker> brokers_;
  Registration registration_;
  TimePoint definition_since_{};
  bool registered_ = false;
  bool closed_ = false;
  SlotReport slot_report_;
  Directory directory_;
  const Broker* workers_from_ = nullptr;  ///< In its current session.
  bool has_directory_ = false;
  bool changed_ = false;
  std::uint64_t news_ = 0;
};

}  // namespace tempest::registry
