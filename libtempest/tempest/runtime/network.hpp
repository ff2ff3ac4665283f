#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "tempest/base/result.hpp"
#include "tempest/base/shared_bytes.hpp"
#include "tempest/link/node.hpp"
#include "tempest/runtime/dealer.hpp"
#include "tempest/runtime/doorbell.hpp"
#include "tempest/runtime/logging.hpp"
#include "tempest/runtime/poller.hpp"
#include "tempest/runtime/router.hpp"

namespace tempest::runtime {

class Transport;  // runtime/transport.hpp

/// All of a node's links' connections: its ROUTER, if it has one, and a DEALER for each channel.
/// One thread reads, writes and waits for them all, so that a frame costs no wake-up but the one
/// of its receiver. Belongs to that thread, except for its doorbell.
class Network {
 public:
  /// `routing_id` is this node's, to which each DEALER adds its channel. Both outlive it.
  Network(Transport& transport, std::string routing_id, Log& log);

  /// The ROUTER. Gives the endpoint that is bound.
  Result<std::string> listen(const std::string& endpoint);
  /// A DEALER. `invalid_argument` if the endpoint is of no known form.
  Result<void> open(link::ChannelId channel, const std::string& endpoint, TimePoint now);
  void close(link::ChannelId channel);

  /// Until flush() it is kept. Dropped where nobody is, and where too much waits.
  void send(const link::Effects::Send& send, TimePoint now);
  void flush(TimePoint now);

  /// To wait: prepare_to_sleep(), look for news, wait() if there are none, wake_up().
  void prepare_to_sleep() { doorbell_->prepare_to_sleep(); }
  /// Something has come that no descriptor tells of.
  bool has_news() const;
  /// Until something has come, the doorbell rings or it is `until`. With descriptor() in another
  /// poller, which waits in place of this: once it says so, for no time at all.
  void wait(TimePoint until);
  void wake_up() { doorbell_->wake_up(); }
  int descriptor() const { return poller_.descriptor(); }
  /// Not later than this, read(): a connection wants something done. Never later than in a second.
  TimePoint next_turn() const;
  /// Hands over everything that has come, up to a turn's share.
  void read(TimePoint now, FrameSink& sink);

  Doorbell& doorbell() { return *doorbell_; }

  /// Closes all; what is unsent gets a moment to get out.
  void close_all();

 private:
  void read_all(Turn& turn);
  void tick(TimePoint now);

  Transport& transport_;
  std::string routing_id_;
  Log& log_;
  std::shared_ptr<Doorbell> doorbell_;
  Poller poller_;
  std::optional<Router> router_;
  std::map<link::ChannelId, Dealer> dealers_;
  TimePoint next_tick_{};
  TimePoint last_read_{};
};

}  // namespace tempest::runtime
