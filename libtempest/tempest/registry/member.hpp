#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tempest/link/client.hpp"
#include "tempest/link/node.hpp"
#include "tempest/registry/directory.hpp"

namespace tempest::registry {

/// A node's side of the registry: keeps a link to each broker, registers with all of them, and
/// makes one directory of what they say. A broker that is away or was restarted takes nothing from
/// the directory: what it last said stays until it, or another, says something newer. Part of each
/// role's machine (not of the broker's); pure, like it.
///
/// Several brokers: coordinators are united by name (of two incarnations under one name the one
/// from the broker heard last wins); the definition and the workers are taken from the first broker
/// in the order of the options that is up, so that all nodes that see the same brokers agree.
class Member {
 public:
  /// `brokers`: their endpoints; broker i gets channel kFirstBroker + i.
  Member(link::Identity self, std::vector<std::string> brokers, const link::Settings& settings,
         std::uint64_t seed);

  /// Opens the channels. Once, before everything else.
  void start(TimePoint now, link::Effects& effects);

  /// True if this channel is one of the member's.
  bool owns(link::ChannelId channel) const;
  /// Returns true if directory() has changed.
  bool receive(link::ChannelId channel, std::string_view frame, TimePoint now,
               link::Effects& effects);
  void turn(TimePoint now, link::Effects& effects);
  TimePoint next_turn() const;

  /// Sent at once to every broker that is up, and to each that comes up later.
  void set_registration(Registration registration, TimePoint now, link::Effects& effects);
  const Registration& registration() const { return registration_; }

  /// A coordinator has nothing in flight on slots that moved up to this revision.
  void settle_slots(std::uint64_t slots_revision, TimePoint now, link::Effects& effects);

  const Directory& directory() const { return directory_; }
  /// True once any broker has said anything.
  bool has_directory() const { return has_directory_; }
  std::size_t brokers_up() const;

  void close(std::string_view reason, TimePoint now, link::Effects& effects);

 private:
  struct Broker {
    std::string endpoint;
    link::Client client;
    bool reported_away = false;
    std::optional<Directory> directory;  ///< What it last said.
    std::uint64_t heard = 0;             ///< Order of the last word.
  };

  void carry_out(std::size_t broker, link::Output& output, TimePoint now, link::Effects& effects);
  void merge();

  link::Identity self_;
  std::vector<Broker> brokers_;
  Registration registration_;
  std::uint64_t settled_ = 0;
  Directory directory_;
  bool has_directory_ = false;
  bool changed_ = false;
  std::uint64_t words_ = 0;
};

}  // namespace tempest::registry
