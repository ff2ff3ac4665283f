#include "tempest/runtime/dealer.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <functional>
#include <utility>

namespace tempest::runtime {

namespace {

// Quick at first, not a storm when a peer stays away.
constexpr Duration kFirstBackoff = std::chrono::milliseconds(100);
constexpr Duration kLongestBackoff = std::chrono::seconds(5);
// Without it a lost SYN costs two minutes.
constexpr Duration kConnectTimeout = std::chrono::seconds(3);

zmtp::Settings dealer_settings(std::string routing_id) {
  zmtp::Settings settings;
  settings.type = zmtp::SocketType::dealer;
  settings.identity = std::move(routing_id);
  return settings;
}

}  // namespace

Dealer::Dealer(SocketParts parts, link::ChannelId channel, std::string endpoint_text,
               Endpoint endpoint, std::string routing_id)
    : parts_(std::move(parts)),
      channel_(channel),
      endpoint_text_(std::move(endpoint_text)),
      endpoint_(std::move(endpoint)),
      routing_id_(std::move(routing_id)),
      jitter_(std::hash<std::string>{}(routing_id_)),
      backoff_(kFirstBackoff) {}

Dealer::~Dealer() {
  if (connecting_ >= 0) {
    parts_.poller.remove(connecting_, this);
    ::close(connecting_);
  }
  if (stream_) parts_.poller.remove(stream_->descriptor(), this);
}

void Dealer::connect(TimePoint now) {
  if (now < next_connect_) return;
  next_connect_ = TimePoint::max();
  if (endpoint_.kind == Endpoint::Kind::inproc) return connect_inproc(now);
  if (endpoint_.kind == Endpoint::Kind::ipc) {
    return connect_stream(ipc_address(endpoint_.name), now);
  }
  auto address = numeric_address(endpoint_.name, endpoint_.port);
  if (address) return connect_stream(address, now);
  lookup_ = NameLookup::begin(endpoint_.name, endpoint_.port, parts_.doorbell);
}

void Dealer::connect_inproc(TimePoint now) {
  auto end = parts_.hub.connect(endpoint_.name, routing_id_, parts_.doorbell);
  if (!end) return hang_up(now);
  inproc_.emplace(std::move(*end));
  backoff_ = kFirstBackoff;
}

void Dealer::connect_stream(const Result<SocketAddress>& address, TimePoint now) {
  if (!address) {
    complaint_ = address.error().message;
    return hang_up(now);
  }
  const int descriptor = ::socket(address->family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (descriptor < 0) return hang_up(now);
  if (::connect(descriptor, address->get(), address->length) != 0 && errno != EINPROGRESS) {
    ::close(descriptor);
    return hang_up(now);
  }
  connecting_ = descriptor;
  connect_deadline_ = now + kConnectTimeout;
  parts_.poller.add(descriptor, this, true);
}

void Dealer::finish_connecting(TimePoint now) {
  int error = 0;
  socklen_t length = sizeof error;
  ::getsockopt(connecting_, SOL_SOCKET, SO_ERROR, &error, &length);
  if (error != 0) return hang_up(now);
  stream_.emplace(std::exchange(connecting_, -1), dealer_settings(routing_id_), now);
  watches_writing_ = true;
  flush(now);
}

void Dealer::ready(std::uint32_t /*events*/, Turn& turn) {
  if (connecting_ >= 0) return finish_connecting(turn.now);
  const bool was_ready = stream_->is_ready();
  stream_->read(turn.now,
                [&](SharedBytes frame) { turn.sink.receive(channel_, {}, std::move(frame)); });
  if (!was_ready && stream_->is_ready()) backoff_ = kFirstBackoff;
  watch_writing();
  if (stream_->is_over()) hang_up(turn.now);
}

bool Dealer::has_news() const {
  if (inproc_) return inproc_->has_news();
  return lookup_ && lookup_->answer().has_value();
}

void Dealer::take_news(Turn& turn) {
  if (inproc_ && inproc_->has_news()) {
    const bool is_closed = inproc_->is_closed();
    inproc_->receive(received_);
    for (SharedBytes& frame : received_) turn.sink.receive(channel_, {}, std::move(frame));
    received_.clear();
    if (is_closed) hang_up(turn.now);
  }
  if (!lookup_) return;
  if (const auto answer = lookup_->answer()) {
    lookup_.reset();
    connect_stream(*answer, turn.now);
  }
}

void Dealer::send(SharedBytes frame, TimePoint now) {
  if (inproc_) {
    inproc_->send(std::move(frame));
  } else if (stream_) {
    stream_->send(std::move(frame), now);
  }
}

void Dealer::flush(TimePoint now) {
  if (!stream_) return;
  stream_->flush();
  watch_writing();
  if (stream_->is_over()) hang_up(now);
}

void Dealer::watch_writing() {
  if (watches_writing_ == stream_->has_unsent()) return;
  watches_writing_ = !watches_writing_;
  parts_.poller.change(stream_->descriptor(), this, watches_writing_);
}

void Dealer::tick(TimePoint now) {
  if (connecting_ >= 0 && now > connect_deadline_) hang_up(now);
  if (!stream_) return;
  stream_->tick(now);
  flush(now);
}

void Dealer::hang_up(TimePoint now) {
  if (connecting_ >= 0) {
    parts_.poller.remove(connecting_, this);
    ::close(std::exchange(connecting_, -1));
  }
  if (stream_) {
    complaint_ = stream_->failure();
    if (!complaint_.empty()) complaint_ = "the peer " + complaint_;
    parts_.poller.remove(stream_->descriptor(), this);
    stream_.reset();
  }
  inproc_.reset();
  const auto spread = static_cast<std::uint64_t>(backoff_.count() / 4);
  next_connect_ = now + backoff_ + Duration(jitter_.below(spread));
  backoff_ = std::min(backoff_ * 2, kLongestBackoff);
}

void Dealer::linger(Duration patience) {
  if (stream_) stream_->linger(patience);
}

std::optional<std::string> Dealer::take_complaint() {
  if (complaint_.empty() || complaint_ == last_complaint_) return std::nullopt;
  last_complaint_ = std::exchange(complaint_, {});
  return "cannot talk to " + endpoint_text_ + ": " + last_complaint_;
}

}  // namespace tempest::runtime
