#include "tempest/runtime/network.hpp"

#include <algorithm>
#include <utility>

#include "tempest/runtime/clock.hpp"
#include "tempest/runtime/transport.hpp"

namespace tempest::runtime {

namespace {

// How soon silence is noticed, and how often all connections are looked at.
constexpr Duration kTickInterval = std::chrono::seconds(1);
// Who has read nothing for this long may have been stopped, in the middle of anything.
constexpr Duration kLongGap = std::chrono::milliseconds(100);
// Goodbyes get this long to leave when all is closed.
constexpr Duration kCloseLinger = std::chrono::milliseconds(200);

}  // namespace

Network::Network(Transport& transport, std::string routing_id, Log& log)
    : transport_(transport),
      routing_id_(std::move(routing_id)),
      log_(log),
      doorbell_(std::make_shared<Doorbell>()) {
  poller_.add(doorbell_->descriptor(), doorbell_.get(), false);
}

Result<std::string> Network::listen(const std::string& endpoint) {
  router_.emplace(SocketParts{poller_, doorbell_, transport_.hub()});
  auto bound = router_->listen(endpoint);
  if (!bound) router_.reset();
  return bound;
}

Result<void> Network::open(link::ChannelId channel, const std::string& endpoint, TimePoint now) {
  auto parsed = parse_endpoint(endpoint);
  if (!parsed) return parsed.error();
  close(channel);
  // One routing id for each, so that no two connections to one place take it from each other.
  const auto placed = dealers_.try_emplace(
      channel, SocketParts{poller_, doorbell_, transport_.hub()}, channel, endpoint,
      std::move(*parsed), routing_id_ + "#" + std::to_string(static_cast<unsigned>(channel)));
  placed.first->second.connect(now);
  return {};
}

void Network::close(link::ChannelId channel) {
  dealers_.erase(channel);
}

void Network::send(const link::Effects::Send& send, TimePoint now) {
  if (send.channel == link::kListener) {
    if (router_) router_->send(send.routing_id, send.frame, now);
    return;
  }
  const auto found = dealers_.find(send.channel);
  if (found != dealers_.end()) found->second.send(send.frame, now);
}

void Network::flush(TimePoint now) {
  if (router_) router_->flush();
  for (auto& [channel, dealer] : dealers_) dealer.flush(now);
}

bool Network::has_news() const {
  if (router_ && router_->has_news()) return true;
  return std::any_of(dealers_.begin(), dealers_.end(),
                     [](const auto& entry) { return entry.second.has_news(); });
}

TimePoint Network::next_turn() const {
  TimePoint next = next_tick_;
  for (const auto& [channel, dealer] : dealers_) next = std::min(next, dealer.next_connect());
  return next;
}

void Network::wait(TimePoint until) {
  poller_.wait(until == TimePoint::min() ? Duration::zero() : until - monotonic_now());
}

void Network::read(TimePoint now, FrameSink& sink) {
  Turn turn{now, sink};
  poller_.dispatch(turn);
  const bool was_away = now - std::exchange(last_read_, now) >= kLongGap;
  if (was_away || poller_.may_have_more()) read_all(turn);
  if (router_) router_->take_news(turn);
  for (auto& [channel, dealer] : dealers_) {
    if (dealer.has_news()) dealer.take_news(turn);
    dealer.connect(now);
  }
  if (now >= next_tick_) tick(now);
}

/// Everything that has come is read before anybody is judged silent, here or by the node: a process
/// that was stopped for a while finds its peers waiting, many at a time.
void Network::read_all(Turn& turn) {
  for (std::size_t round = 0; round < poller_.rounds(); ++round) {
    poller_.wait(Duration::zero());
    poller_.dispatch(turn);
    if (!poller_.may_have_more()) return;
  }
}

void Network::tick(TimePoint now) {
  next_tick_ = now + kTickInterval;
  if (router_) router_->tick(now);
  for (auto& [channel, dealer] : dealers_) {
    dealer.tick(now);
    if (const auto complaint = dealer.take_complaint()) log_.warning(*complaint);
  }
}

void Network::close_all() {
  const TimePoint until = monotonic_now() + kCloseLinger;
  if (router_) router_->linger(kCloseLinger);
  for (auto& [channel, dealer] : dealers_) dealer.linger(until - monotonic_now());
  dealers_.clear();
  router_.reset();
}

}  // namespace tempest::runtime
