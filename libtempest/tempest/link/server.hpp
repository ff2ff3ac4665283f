#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "tempest/base/slab.hpp"
#include "tempest/link/link.hpp"
#include "tempest/link/session.hpp"

namespace tempest::link {

/// The end of many links that accepts them, on one ROUTER: a session for each name, always that of
/// its newest HELLO. Sessions are bounded in number (kMaxNodes); beyond, HELLOs go unanswered.
class Server {
 public:
  Server(Identity self, const Settings& settings);

  /// Null once it is lost.
  const Identity* peer(PeerId peer) const;
  bool can_send(PeerId peer) const;
  /// As Client::send.
  void send(PeerId peer, wire::BodyKind kind, std::string frame, TimePoint now, Output& output);

  void receive(std::string_view routing_id, std::string_view frame, TimePoint now, Output& output);
  void turn(TimePoint now, Output& output);
  TimePoint next_turn() const;

  /// Says goodbye to all, and accepts nobody any more.
  void close(std::string_view reason, TimePoint now, Output& output);

  std::size_t session_count() const { return peers_.size(); }
  const Counters& counters() const { return counters_; }

 private:
  struct Peer {
    Identity identity;
    std::string routing_id;
    std::optional<Session> session;
  };

  void accept(std::string_view routing_id, const wire::Hello& hello, TimePoint now, Output& output);
  void lose(PeerId peer, LostReason reason, Output& output);

  Identity self_;
  Settings settings_;
  Slab<Peer, PeerId> peers_;
  /// By role and name: which session is that node's.
  std::map<std::pair<Role, std::string>, PeerId, std::less<>> by_name_;
  /// By session id: which peer a frame belongs to. The routing id must match as well.
  std::map<std::uint64_t, PeerId> by_session_;
  bool closed_ = false;
  Counters counters_;
};

}  // namespace tempest::link
