#include "tempest/link/session.hpp"

#include <algorithm>
#include <cassert>
#include <utility>

#include "tempest/base/limits.hpp"
#include "tempest/link/header_frame.hpp"

namespace tempest::link {

Duration lease_from_ms(std::uint64_t lease_ms) {
  return std::chrono::milliseconds(std::clamp(lease_ms, kMinLeaseMs, kMaxLeaseMs));
}

Session::Session(std::uint64_t id, const Settings& settings, Duration peer_lease, TimePoint now)
    : id_(id),
      settings_(settings),
      peer_lease_(peer_lease),
      resend_wait_(settings.resend_initial),
      last_heard_(now),
      heartbeat_at_(now + settings.heartbeat_interval) {}

bool Session::can_send() const {
  return unacked_.size() < settings_.max_unacked_frames &&
         unacked_bytes_ < settings_.max_unacked_bytes;
}

SharedBytes Session::send(wire::BodyKind kind, std::string frame, TimePoint now) {
  assert(frame.size() <= kMaxFrameBytes);
  wire::finish_data({id_, ++last_sent_, last_received_, kind}, frame);
  SharedBytes bytes(std::move(frame));
  if (unacked_.empty()) {
    resend_wait_ = settings_.resend_initial;
    resend_at_ = now + resend_wait_;
  }
  unacked_bytes_ += bytes.size();
  unacked_.push_back(bytes);
  told(now);
  return bytes;
}

void Session::told(TimePoint now) {
  last_acked_ = last_received_;
  if (!report_missing_) ack_at_ = kNever;
  heartbeat_at_ = now + settings_.heartbeat_interval;
}

Session::Arrival Session::receive_data(const wire::DataHeader& header, TimePoint now) {
  touch(now);
  confirm(header.ack, now);
  if (header.sequence <= last_received_) {
    // The peer sent it again, so it has not heard that it arrived.
    ack_at_ = std::min(ack_at_, now);
    return Arrival::duplicate;
  }
  if (header.sequence > last_received_ + 1) {
    report_missing_ = true;
    ack_at_ = std::min(ack_at_, std::max(now, report_not_before_));
    return Arrival::out_of_order;
  }
  last_received_ = header.sequence;
  report_missing_ = false;
  const bool many = last_received_ - last_acked_ >= settings_.ack_every_frames;
  ack_at_ = std::min(ack_at_, many ? now : now + settings_.ack_delay);
  return Arrival::in_order;
}

void Session::receive_heartbeat(const wire::Heartbeat& heartbeat, TimePoint now) {
  touch(now);
  confirm(heartbeat.ack, now);
  // Only if it is still the first unconfirmed frame that is missing: the word may be an old one.
  const std::uint64_t first_unacked = last_sent_ - unacked_.size() + 1;
  if (heartbeat.missing && !unacked_.empty() && heartbeat.ack + 1 == first_unacked) {
    resend_at_ = std::min(resend_at_, std::max(now, resend_not_before_));
  }
}

void Session::confirm_soon(TimePoint now) {
  if (last_acked_ != last_received_) ack_at_ = std::min(ack_at_, now);
}

void Session::confirm(std::uint64_t ack, TimePoint now) {
  if (ack > last_sent_)
    return;  // Never sent: the peer is mistaken, and may not end the session so.
  bool progress = false;
  while (!unacked_.empty() && last_sent_ - unacked_.size() + 1 <= ack) {
    unacked_bytes_ -= unacked_.front().size();
    unacked_.pop_front();
    progress = true;
  }
  if (!progress) return;
  resend_wait_ = settings_.resend_initial;
  resend_at_ = unacked_.empty() ? kNever : now + resend_wait_;
}

void Session::turn(TimePoint now, std::vector<SharedBytes>& frames, Counters& counters) {
  if (now >= resend_at_) {
    frames.insert(frames.end(), unacked_.begin(), unacked_.end());
    counters.frames_resent += unacked_.size();
    resend_wait_ = std::min(resend_wait_ * 2, settings_.resend_max);
    resend_at_ = now + resend_wait_;
    resend_not_before_ = now + settings_.resend_initial / 4;
  }
  if (now >= ack_at_ || now >= heartbeat_at_) {
    frames.push_back(header_frame(wire::Heartbeat{id_, last_received_, report_missing_}));
    if (report_missing_) report_not_before_ = now + settings_.resend_initial / 4;
    report_missing_ = false;
    told(now);
  }
}

TimePoint Session::next_turn() const {
  const TimePoint lease_over = last_heard_ + peer_lease_ + Duration(1);
  return std::min({resend_at_, ack_at_, heartbeat_at_, lease_over});
}

}  // namespace tempest::link
