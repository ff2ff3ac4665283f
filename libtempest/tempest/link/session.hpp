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
  /// it is confirmed. The returned frame goes out now.
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

  /// Timers: appends whatever is due (heartbeat, confirmation, resends) to `frames`.
  void turn(TimePoint now, std::vector<SharedBytes>& frames, Counters& counters);
  /// When turn() will next have something to do, the end of the lease included.
  TimePoint next_turn() const;

  std::size_t unacked_frames() const { return unacked_.size(); }
  std::size_t unacked_bytes() const { return unacked_bytes_; }

 private:
  struct Unacked {
    std::uint64_t sequence;
    SharedBytes frame;
  };

  void confirm(std::uint64_t ack, TimePoint now);

  std::uint64_t id_;
  Settings settings_;
  Duration peer_lease_;

  std::uint64_t last_sent_ = 0;
  std::deque<Unacked> unacked_;
  std::size_t unacked_bytes_ = 0;
  Duration resend_wait_;
  TimePoint resend_at_ = kNever;
  bool resend_now_ = false;

  std::uint64_t last_received_ = 0;  ///< In order.
  std::uint64_t last_acked_ = 0;     ///< What the peer was told.
  TimePoint ack_at_ = kNever;
  bool report_missing_ = false;

  TimePoint last_heard_;
  TimePoint heartbeat_at_;
};

}  // namespace tempest::link
