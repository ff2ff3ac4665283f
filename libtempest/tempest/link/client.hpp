#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tempest/base/random.hpp"
#include "tempest/link/link.hpp"
#include "tempest/link/session.hpp"

namespace tempest::link {

/// The end of a link that opens it: says HELLO until it is welcomed, and again with a new session
/// whenever the old one is lost. One for each peer; the shell gives each a DEALER of its own.
class Client {
 public:
  /// `seed`: of the numbers of its HELLOs. No two Clients of one incarnation may have the same, or
  /// the accepter could take one's HELLO for the other's.
  Client(Identity self, const Settings& settings, std::uint64_t seed, Wanted wanted = {});

  /// Means somebody else from now on: by the directory's newest knowledge. A session that is up
  /// stays; the next one is asked for at once.
  void want(Wanted wanted, TimePoint now);

  bool is_up() const { return session_.has_value(); }
  /// The peer, while up; else the last one, or an empty identity.
  const Identity& peer() const { return *peer_; }

  bool can_send() const { return session_ && session_->can_send(); }
  /// Frames sent in this session that the peer has not confirmed yet. 0 while not up.
  std::size_t unacked_frames() const { return session_ ? session_->unacked_frames() : 0; }
  Backlog backlog() const { return session_ ? session_->backlog() : Backlog{}; }
  /// Nothing that was sent is still unconfirmed: closing now loses nothing.
  bool all_confirmed() const { return !session_ || session_->unacked_frames() == 0; }
  /// Sends a frame that wire::begin_data started. Dropped if the link is not up: then `lost` has
  /// been or will be reported, and the layer above gives the work back. Dropped and counted if it
  /// is beyond kMaxFrameBytes, which the layer above must not let happen: what would have been in
  /// it never arrives, though the session goes on.
  void send(wire::BodyKind kind, std::string frame, TimePoint now, Output& output);

  /// Gives the session up and tells the peer so: for a body that the layer above cannot read. What
  /// it would have said is then said again in the next session, which is asked for after a pause.
  void reset(TimePoint now, Output& output);

  /// A frame has come in. Never fails: what is malformed or stale is counted and dropped.
  void receive(std::string_view frame, TimePoint now, Output& output);
  /// Timers. To be called at least at next_turn().
  void turn(TimePoint now, Output& output);
  TimePoint next_turn() const;

  /// Says goodbye and opens no more sessions.
  void close(std::string_view reason, TimePoint now, Output& output);

  const Counters& counters() const { return counters_; }
  /// Why the peer last turned a HELLO down, in words, for logs; empty if it never did.
  const std::string& last_refusal() const { return *last_refusal_; }

 private:
  void receive_welcome(std::string_view frame, TimePoint now, Output& output);
  void receive_data(std::string_view frame, TimePoint now, Output& output);
  void receive_heartbeat(std::string_view frame, TimePoint now, Output& output);
  void receive_reset(std::string_view frame, TimePoint now, Output& output);
  void receive_bye(std::string_view frame, TimePoint now, Output& output);
  /// A frame that is not of the session.
  void disown(std::uint64_t session, Output& output);
  /// Why the welcome is no answer from whom is meant; empty if it is.
  std::string fault_of(const wire::Welcome& welcome) const;
  /// No session came of the HELLO: says so, unless it was the same before, and asks again later.
  void refused(std::string reason, TimePoint now, Output& output);
  void put(SharedBytes frame, Output& output);
  void say_hello(TimePoint now, Output& output);
  /// The session is over; HELLOs begin at `hello_at`.
  void lose(LostReason reason, TimePoint hello_at, Output& output);

  Identity self_;
  Settings settings_;
  Wanted wanted_;
  Random random_;
  std::uint64_t hello_;  ///< Of the HELLOs on their way, or of the one that was welcomed.
  TimePoint hello_at_{};
  TimePoint up_since_{};  ///< Of the session.
  std::optional<Session> session_;
  std::shared_ptr<const Identity> peer_;
  bool closed_ = false;
  std::shared_ptr<const std::string> last_refusal_;
  bool refusal_told_ = false;  ///< The last one, since the last session or wish.
  Counters counters_;
  std::vector<SharedBytes> due_;  ///< Reused.
};

}  // namespace tempest::link
