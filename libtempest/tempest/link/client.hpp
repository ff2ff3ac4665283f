#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "tempest/base/random.hpp"
#include "tempest/link/link.hpp"
#include "tempest/link/session.hpp"

namespace tempest::link {

/// The end of a link that opens it: says HELLO until it is welcomed, and again with a new session
/// whenever the old one is lost. One for each peer; the shell gives each a DEALER of its own.
class Client {
 public:
  Client(Identity self, const Settings& settings, std::uint64_t seed);

  bool is_up() const { return session_.has_value(); }
  /// The peer, while up.
  const Identity& peer() const { return peer_; }

  bool can_send() const { return session_ && session_->can_send(); }
  /// Sends a frame that wire::begin_data started. Dropped if the link is not up: then `lost` has
  /// been or will be reported, and the layer above gives the work back.
  void send(wire::BodyKind kind, std::string frame, TimePoint now, Output& output);

  /// A frame has come in. Never fails: what is malformed or stale is counted and dropped.
  void receive(std::string_view frame, TimePoint now, Output& output);
  /// Timers. To be called at least at next_turn().
  void turn(TimePoint now, Output& output);
  TimePoint next_turn() const;

  /// Says goodbye and opens no more sessions.
  void close(std::string_view reason, TimePoint now, Output& output);

  const Counters& counters() const { return counters_; }

 private:
  void open_session(TimePoint now);
  void lose(LostReason reason, TimePoint now, Output& output);

  Identity self_;
  Settings settings_;
  Random random_;
  std::uint64_t session_id_ = 0;  ///< Of the session, or of the HELLOs on their way.
  TimePoint hello_at_{};
  std::optional<Session> session_;
  Identity peer_;
  bool closed_ = false;
  Counters counters_;
};

}  // namespace tempest::link
