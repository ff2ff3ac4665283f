#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tempest/base/slab.hpp"
#include "tempest/link/link.hpp"
#include "tempest/link/session.hpp"

namespace tempest::link {

/// The end of many links that accepts them, on one ROUTER: a session for each name, always that of
/// its newest HELLO. Sessions are bounded in number (kMaxNodes); beyond, HELLOs are turned down.
/// Every opener has something to say at once, so one that does not is turned out (kMaxSilenceMs).
class Server {
 public:
  Server(Identity self, const Settings& settings);

  /// Null once it is lost.
  const Identity* peer(PeerId peer) const;
  bool can_send(PeerId peer) const;
  /// Nothing that was sent to it is still unconfirmed.
  bool all_confirmed(PeerId peer) const;
  /// Nothing that was sent to anybody is still unconfirmed: closing now loses nothing.
  bool all_confirmed() const;
  /// As Client::send.
  void send(PeerId peer, wire::BodyKind kind, std::string frame, TimePoint now, Output& output);

  /// Gives the peer's session up and tells it so: for a body that the layer above cannot read. What
  /// it would have said is then said again, by whoever loses the session at the other end.
  void reset(PeerId peer, Output& output);
  /// Confirms what has come from this peer in the next turn(), and not only after ack_delay: for
  /// what it is waiting for.
  void confirm_soon(PeerId peer, TimePoint now);

  void receive(std::string_view routing_id, std::string_view frame, TimePoint now, Output& output);
  /// Timers. To be called at least at next_turn(); costs nothing before.
  void turn(TimePoint now, Output& output);
  /// Not later than the first timer of any session; may be earlier.
  TimePoint next_turn() const { return timers_.empty() ? kNever : timers_.begin()->first; }

  /// Says goodbye to all, and accepts nobody any more.
  void close(std::string_view reason, TimePoint now, Output& output);

  std::size_t session_count() const { return peers_.size(); }
  const Counters& counters() const { return counters_; }
  /// Of all sessions together.
  Backlog backlog() const;

 private:
  struct Peer {
    std::shared_ptr<const Identity> identity;
    std::string routing_id;
    std::uint64_t hello = 0;
    std::optional<Session> session;
    /// When it is turned out for having said nothing; kNever once it has.
    TimePoint silent_until = kNever;
    /// Where it stands in timers_; kNever: nowhere.
    TimePoint looked_at = kNever;
  };

  void receive_hello(std::string_view routing_id, std::string_view frame, TimePoint now,
                     Output& output);
  void receive_data(std::string_view routing_id, std::string_view frame, TimePoint now,
                    Output& output);
  void receive_heartbeat(std::string_view routing_id, std::string_view frame, TimePoint now,
                         Output& output);
  void receive_reset(std::string_view routing_id, std::string_view frame, Output& output);
  void receive_bye(std::string_view routing_id, std::string_view frame, Output& output);

  void accept(std::string_view routing_id, const wire::Hello& hello, TimePoint now, Output& output);
  void welcome(const Peer& peer, Output& output);
  void refuse(std::string_view routing_id, const wire::Hello& hello, std::string reason,
              TimePoint now, Output& output);
  /// Why this HELLO is meant for somebody else, or comes from elsewhere; empty if it does not.
  std::string fault_of(const wire::Hello& hello) const;
  /// A number for the session that this HELLO opens: one that no other has had.
  std::uint64_t new_session_number(std::uint64_t hello);
  /// The peer of this session, if this is the way to it.
  std::optional<PeerId> find(std::string_view routing_id, std::uint64_t session) const;
  /// A frame of a session that is not known, or not this sender's.
  void disown(std::string_view routing_id, std::uint64_t session, Output& output);
  void lose(PeerId peer, LostReason reason, Output& output);
  void put(std::string_view routing_id, SharedBytes frame, Output& output);
  void turn(std::uint32_t slot, TimePoint now, Output& output);
  void heed_timers_of(std::uint32_t slot, Peer& peer);

  Identity self_;
  Settings settings_;
  Slab<Peer, PeerId> peers_;
  /// By role and name: which session is that node's.
  std::map<std::pair<Role, std::string>, PeerId> by_name_;
  /// By the number of the HELLO that opened it: so that the same HELLO again opens no other.
  std::map<std::uint64_t, PeerId> by_hello_;
  /// By session number: which peer a frame belongs to. The routing id must match as well.
  std::map<std::uint64_t, PeerId> by_session_;
  std::uint64_t sessions_begun_ = 0;
  /// By role and name: why it was last refused, so that it is said once. Bounded.
  std::map<std::pair<Role, std::string>, std::shared_ptr<const std::string>> refused_;
  /// So that strangers with ever new names do not fill the log: how many were told since when.
  std::size_t refusals_told_ = 0;
  TimePoint refusals_since_{};
  /// When to look at which peer: not later than its first timer. So a turn costs what is due, and
  /// not what is connected.
  std::set<std::pair<TimePoint, std::uint32_t>> timers_;
  bool closed_ = false;
  Counters counters_;
  // Reused.
  std::vector<SharedBytes> due_;
  std::vector<std::uint32_t> due_peers_;
};

}  // namespace tempest::link
