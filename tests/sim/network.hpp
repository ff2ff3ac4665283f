#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "tempest/base/random.hpp"
#include "tempest/base/shared_bytes.hpp"
#include "tempest/base/time.hpp"
#include "tempest/link/node.hpp"

namespace tempest::sim {

class World;

/// Between which nodes frames go, and what becomes of them on their way. As ZeroMQ over TCP: a
/// DEALER connects by itself, again and again; a frame sent while it is not connected vanishes;
/// frames of one connection arrive in order; when a connection breaks, what was in its pipes may
/// arrive or not, and nobody is told. In a wild network single frames are lost, doubled and
/// overtaken besides.
class Network {
 public:
  Network(World& world, std::uint64_t seed) : world_(world), random_(seed) {}

  /// The host's ROUTER can be reached there, until died().
  void bind(std::size_t host, const std::string& endpoint);
  void open(std::size_t host, link::ChannelId channel, const std::string& endpoint,
            const std::string& routing_id);
  void close(std::size_t host, link::ChannelId channel);
  void send(std::size_t host, const link::Effects::Send& send);
  /// All its sockets are gone.
  void died(std::size_t host);

  /// Frames from one to the other do not get through until then; afterwards they arrive late, or
  /// never.
  void block(std::size_t from, std::size_t to, TimePoint until, bool loses);
  bool is_blocked(std::size_t from, std::size_t to) const;
  /// Some connection is made anew.
  void reconnect_one();
  /// Some frame from before arrives once more.
  void replay_one();
  /// Something that is no frame arrives somewhere.
  void garbage();
  /// No more faults: all that is broken is whole again.
  void heal();

  bool is_wild = false;
  std::uint64_t frames = 0;
  std::uint64_t lost = 0;
  std::uint64_t doubled = 0;
  std::uint64_t replayed = 0;

 private:
  struct Connection {
    std::size_t dealer = 0;
    link::ChannelId channel{};
    std::string endpoint;
    std::string routing_id;
    std::size_t router = 0;  ///< Good while it is up.
    bool is_up = false;
    bool is_closing = false;
    /// Of each direction, to the router and from it: how often what was in the pipe has been lost.
    std::uint64_t epoch[2] = {0, 0};
    TimePoint last_arrival[2] = {};
  };
  struct Remembered {
    std::size_t to = 0;
    std::string endpoint;  ///< Of the connection it came by.
    std::string routing_id;
    bool to_router = false;
    SharedBytes frame;
  };

  void try_connect(std::uint64_t id);
  void retry(std::uint64_t id);
  void break_connection(std::uint64_t id);
  void carry(std::uint64_t id, bool to_router, const SharedBytes& frame);
  void deliver_at(TimePoint when, std::uint64_t id, bool to_router, const SharedBytes& frame);
  void arrive(std::uint64_t id, bool to_router, std::uint64_t epoch, const SharedBytes& frame);
  Duration travel_time();

  World& world_;
  Random random_;
  std::map<std::uint64_t, Connection> connections_;
  std::uint64_t next_connection_ = 1;
  std::map<std::pair<std::size_t, link::ChannelId>, std::uint64_t> by_channel_;
  std::map<std::string, std::size_t> bound_;
  /// By ROUTER and routing id.
  std::map<std::pair<std::size_t, std::string>, std::uint64_t> routes_;
  struct Block {
    TimePoint until{};
    bool loses = false;
  };
  std::map<std::pair<std::size_t, std::size_t>, Block> blocks_;
  std::vector<Remembered> remembered_;
  std::size_t next_remembered_ = 0;
};

}  // namespace tempest::sim
