#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tempest/base/random.hpp"
#include "tempest/base/result.hpp"
#include "tempest/runtime/endpoint.hpp"
#include "tempest/runtime/inproc.hpp"
#include "tempest/runtime/name_lookup.hpp"
#include "tempest/runtime/poller.hpp"
#include "tempest/runtime/socket_parts.hpp"
#include "tempest/runtime/stream_connection.hpp"

namespace tempest::runtime {

/// The end that opens a link: connects to one endpoint, again and again as long as it lives. What
/// is sent while there is no connection is dropped, never kept for whoever comes.
class Dealer final : public Watcher {
 public:
  /// Reads and writes through `parts`, which outlive it. Says in `complaints` what is wrong with a
  /// peer that it cannot talk to, once for each fault.
  Dealer(SocketParts parts, link::ChannelId channel, std::string endpoint_text, Endpoint endpoint,
         std::string routing_id);
  ~Dealer();
  Dealer(const Dealer&) = delete;
  Dealer& operator=(const Dealer&) = delete;

  /// Begins to connect, if it is time to.
  void connect(TimePoint now);
  /// Not later than this, connect() again.
  TimePoint next_connect() const { return next_connect_; }

  void send(SharedBytes frame, TimePoint now);
  void flush(TimePoint now);
  /// What came by other ways than a descriptor: from within the process, or from a lookup.
  bool has_news() const;
  void take_news(Turn& turn);
  /// Once a second or so: finds silence.
  void tick(TimePoint now);
  void ready(std::uint32_t events, Turn& turn) override;

  /// Gives what is unsent so long to get out.
  void linger(Duration patience);
  /// What is wrong with the peer, in words, once.
  std::optional<std::string> take_complaint();

 private:
  void connect_inproc(TimePoint now);
  void connect_stream(const Result<SocketAddress>& address, TimePoint now);
  void finish_connecting(TimePoint now);
  void watch_writing();
  /// Lets go of the connection, and sets the time of the next.
  void hang_up(TimePoint now);

  SocketParts parts_;
  link::ChannelId channel_;
  std::string endpoint_text_;
  Endpoint endpoint_;
  std::string routing_id_;

  std::shared_ptr<NameLookup> lookup_;
  int connecting_ = -1;  ///< A descriptor that is not connected yet.
  TimePoint connect_deadline_{};
  std::optional<StreamConnection> stream_;
  bool watches_writing_ = false;
  std::optional<InprocEnd> inproc_;
  std::vector<SharedBytes> received_;

  Random jitter_;
  Duration backoff_;
  TimePoint next_connect_{};
  std::string complaint_;
  std::string last_complaint_;
};

}  // namespace tempest::runtime
