#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tempest/base/ids.hpp"
#include "tempest/base/shared_bytes.hpp"
#include "tempest/base/time.hpp"
#include "tempest/wire/frames.hpp"
#include "tempest/wire/stats_builder.hpp"

/// What both ends of a link have in common. A link is a session between two incarnations of two
/// nodes, over a transport (ZeroMQ) that reconnects silently and may lose whatever is in its
/// pipes. While both incarnations live and hear of each other within the lease, frames arrive once
/// and in order. When the lease runs out, a new incarnation or session shows up, or the peer says
/// goodbye, the layer above gets exactly one `lost`, and gives the session's work back.
///
///     opener (link::Client, DEALER)                accepter (link::Server, ROUTER)
///     HELLO(h) ... every 100 ms ...           ->
///                                             <-   WELCOME(h, session s)     event: up
///     event: up
///     DATA(s, sequence 1, ack 0, body)        ->
///                                             <-   DATA(s, 1, ack 1, body)
///     HEARTBEAT(s, ack 1)                     ->
///     (silence beyond the lease)                   event: lost(lease)
///     DATA(s, 2, ...)                         ->
///                                             <-   RESET(s)
///     event: lost(reset); HELLO(i)            ->
///
/// A session is only between parties that mean each other: of one topology (where both name one),
/// and of the name and incarnation that the opener's directory gives. Anything else is refused by
/// the accepter, or by the opener that is welcomed by a stranger, and both are told why
/// (`refused`).
///
/// A HELLO's number is drawn anew for each session wanted, and the session's number by the accepter
/// for each session begun: so a session never outlives either of its incarnations, whatever is
/// still on its way, and a HELLO that comes late does not revive the one that it once opened.
/// Frames of a session that the receiver does not know are answered with RESET (but for RESET and
/// BYE themselves, and for an opener that is still waiting to be welcomed), and count for nothing.
namespace tempest::link {

struct Settings {
  Duration hello_interval = std::chrono::milliseconds(100);
  Duration heartbeat_interval = std::chrono::milliseconds(1000);
  /// How long this side may be silent before the other gives it up: told to the peer.
  Duration lease = std::chrono::milliseconds(3000);
  /// What has arrived is confirmed at the latest after this, if nothing else goes back sooner.
  Duration ack_delay = std::chrono::milliseconds(20);
  /// ... or when this many frames wait for it.
  std::uint64_t ack_every_frames = 32;
  /// No confirmation for this long: everything unconfirmed is sent again; then after twice that,
  /// and so on up to the maximum.
  Duration resend_initial = std::chrono::milliseconds(300);
  Duration resend_max = std::chrono::milliseconds(2000);
  /// The most frames, and bytes, sent but not confirmed: can_send() is false from there on.
  std::size_t max_unacked_frames = 512;
  std::size_t max_unacked_bytes = 64ULL << 20;
};

/// Who a node is.
struct Identity {
  Role role{};
  std::string name;
  Incarnation incarnation;
  std::string topology;
};

/// Whom an opener means to reach. What is empty (all zeros, of an incarnation) is not asked for.
/// The topology is always the opener's own.
struct Wanted {
  std::optional<Role> role;
  std::string name;
  Incarnation incarnation;

  bool operator==(const Wanted&) const = default;
};

/// Says in a node's report whose it is, and how long it has run.
void identify(const Identity& self, TimePoint started, TimePoint now, wire::StatsReport& report);

/// A frame that the shell is to send: on this link's socket, and if that is a ROUTER, to this
/// routing id.
struct Outgoing {
  std::string routing_id;
  SharedBytes frame;
};

enum class LostReason : std::uint8_t {
  lease,        ///< Nothing was heard for longer than the peer's lease.
  incarnation,  ///< The peer was started anew.
  reset,        ///< The peer has given the session up.
  left,         ///< The peer said goodbye.
  closed,       ///< This side said goodbye.
  silent,       ///< The peer opened a session and said nothing in it: this side gave it up.
  malformed,    ///< The peer sent a body that the layer above cannot read: this side gave it up.
};

const char* to_string(LostReason reason);

/// What a link has to say to the layer above.
struct Event {
  enum class Kind : std::uint8_t {
    up,
    body,
    lost,
    refused,  ///< No session: one side is not whom the other means. Said once for each reason.
  };
  Kind kind{};
  PeerId peer;  ///< Of a Server; a Client has just the one. None if refused.
  // up, lost: the peer. refused: of a Server, who asked.
  std::shared_ptr<const Identity> identity;
  // refused: why, in words. lost: what the peer said when it left; may be null.
  std::shared_ptr<const std::string> text;
  // body: good as long as the received frame.
  wire::BodyKind body_kind{};
  std::string_view body;
  // lost
  LostReason reason{};
};

/// Where a link puts what comes of a step. The caller empties it.
struct Output {
  std::vector<Outgoing> frames;
  std::vector<Event> events;
};

/// What was dropped, and why; for gauges and logs.
struct Counters {
  std::uint64_t frames_sent = 0;
  std::uint64_t frames_received = 0;
  std::uint64_t frames_resent = 0;
  std::uint64_t oversize = 0;      ///< Were to be sent, but are beyond kMaxFrameBytes.
  std::uint64_t malformed = 0;     ///< Not a frame of this protocol, or not one for this end.
  std::uint64_t refused = 0;       ///< HELLOs turned down (by a Client's peer, or by a Server).
  std::uint64_t stale = 0;         ///< Of a session that is over.
  std::uint64_t duplicate = 0;     ///< Arrived already.
  std::uint64_t out_of_order = 0;  ///< Something before it is missing; it will come again.
  std::uint64_t leases_lost = 0;

  Counters& operator+=(const Counters& other);
};

/// What was sent and is not confirmed yet.
struct Backlog {
  std::size_t frames = 0;
  std::size_t bytes = 0;

  Backlog& operator+=(const Backlog& other) {
    frames += other.frames;
    bytes += other.bytes;
    return *this;
  }
};

/// Adds them to a node's report, as tempest_link_*_total and tempest_link_unacked_*.
void report(const Counters& counters, const Backlog& backlog, wire::StatsBuilder& stats);

}  // namespace tempest::link
