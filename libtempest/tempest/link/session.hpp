#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "tempest/base/shared_bytes.hpp"
#include "tempest/base/time.hpp"
#include "tempest/link/link.hpp"
#include "tempest/wire/frames.hpp"

namespace tempest::link {

/// A peer's lease as it was told, made to lie between kMinLeaseMs and kMaxLeaseMs.
Duration lease_from_ms(std::uint64_t lease_ms);

/// One established session as either end sees it: numbers what goes out and keeps it until it is
/// confirmed, puts what comes in into order (go-back-N: what is out of order is dropped and asked
/// for again), and watches the lease. Knows no addresses: it hands finished frames back.
class Session {
 public:
  Session(std::uint64_t id, const Settings& settings, Duration peer_lease, TimePoint now);

  std::uint64_t id() const { return id_; }

  /// False while too much is unconfirmed. What must go anyway (control frames, results) may be
  /// sent all the same: its amount is bounded by credit.
  bool can_send() const;

  /// Numbers a frame that wire::begin_data started and whose body is complete, and keeps it until
  /// it is confirmed. The returned frame goes out now. At most kMaxFrameBytes.
  SharedBytes send(wire::BodyKind kind, std::string frame, TimePoint now);

  enum class Arrival { in_order, duplicate, out_of_order };
  /// A data frame has come in.
  Arrival receive_data(const wire::DataHeader& header, TimePoint now);
  /// A heartbeat has come in.
  void receive_heartbeat(const wire::Heartbeat& heartbeat, TimePoint now);
  /// Anything else of this session has come in.
  void touch(TimePoint now) { last_heard_ = now; }

  /// Nothing was heard for longer than the peer's lease.
  bool lease_over(TimePoint now) const { return now - last_heard_ > peer_lease_; }

  /// What has arrived is confirmed by the next turn() from this time on.
  void confirm_soon(TimePoint now);

  /// Timers: appends whatever is due (resends, confirmation, heartbeat) to `frames`. The lease is
  /// for the caller to look at.
  void turn(TimePoint now, std::vector<SharedBytes>& frames, Counters& counters);
  /// When turn() will next have something to do, the end of the lease included.
  TimePoint next_turn() const;

  std::size_t unacked_frames() const { return unacked_.size(); }
  Backlog backlog() const { return {unacked_.size(), unacked_bytes_}; }

 private:
  void confirm(std::uint64_t ack, TimePoint now);
  /// Something has gone out that tells the peer all that has arrived.
  void told(TimePoint now);

  std::uint64_t id_;
  Settings settings_;
  Duration peer_lease_;

  std::uint64_t last_sent_ = 0;
  /// The last of them is numbered last_sent_.
  std::deque<SharedBytes> unacked_;
  std::size_t unacked_bytes_ = 0;
  Duration resend_wait_;
  TimePoint resend_at_ = kNever;
  /// When the peer says that something is missing, not before this: it will say so more than once
  /// before what was sent again can have arrived.
  TimePoint resend_not_before_ = TimePoint::min();

  std::uint64_t last_received_ = 0;  ///< In order.
  std::uint64_t last_acked_ = 0;     ///< What the peer was told.
  TimePoint ack_at_ = kNever;
  bool report_missing_ = false;
  TimePoint report_not_before_ = TimePoint::min();

  TimePoint last_heard_;
  TimePoint heartbeat_at_;
};

}  // namespace tempest::link
