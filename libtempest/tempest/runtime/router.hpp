#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "tempest/base/result.hpp"
#include "tempest/runtime/endpoint.hpp"
#include "tempest/runtime/inproc.hpp"
#include "tempest/runtime/poller.hpp"
#include "tempest/runtime/socket_parts.hpp"
#include "tempest/runtime/stream_connection.hpp"
#include "tempest/runtime/unix_listener.hpp"

namespace tempest::runtime {

/// The end that accepts links: any number of peers, each under its routing id. A peer that comes
/// under a routing id that is known takes it over, since whoever had it may be gone without a word.
class Router final : public Watcher {
 public:
  /// `parts` outlive it.
  explicit Router(SocketParts parts);
  ~Router();
  Router(const Router&) = delete;
  Router& operator=(const Router&) = delete;

  /// Listens; gives the endpoint with the port that was found. `unavailable`, with what to do.
  Result<std::string> listen(const std::string& text);

  /// To a peer that is not here: dropped, as what a peer has not read for long is.
  void send(std::string_view routing_id, SharedBytes frame, TimePoint now);
  /// Gives the kernel what was sent since the last time.
  void flush();
  bool has_news() const;
  /// What came from within the process.
  void take_news(Turn& turn);
  /// Once a second or so: finds silence.
  void tick(TimePoint now);
  /// Somebody wants to connect.
  void ready(std::uint32_t events, Turn& turn) override;

  /// Gives what is unsent so long to get out, all together.
  void linger(Duration patience);

 private:
  struct Peer;
  using Peers = std::list<Peer>;

  struct Peer final : Watcher {
    explicit Peer(Router& owner) : router(owner) {}
    void ready(std::uint32_t /*events*/, Turn& turn) override { router.read(*this, turn); }

    Router& router;
    std::optional<StreamConnection> stream;
    std::optional<InprocEnd> inproc;
    std::string routing_id;
    Peers::iterator place;
    bool is_known = false;  ///< It has said who it is, and is among known_.
    bool watches_writing = false;
    bool is_dirty = false;  ///< Something was sent since the last flush.
    bool is_dead = false;   ///< Waits to be buried.
  };

  struct TransparentHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const {
      return std::hash<std::string_view>{}(text);
    }
  };

  Result<std::string> listen_stream(const Endpoint& endpoint, const std::string& text);
  Result<void> bind_tcp(const Endpoint& endpoint, const std::string& text);
  Result<void> bind_unix(const Endpoint& endpoint);
  void accept_one(int descriptor, TimePoint now);
  void accept_inproc();
  void read(Peer& peer, Turn& turn);
  void introduce(Peer& peer, std::string routing_id);
  void flush_peer(Peer& peer);
  void kill(Peer& peer);
  /// Not while anybody may still hold a dead peer.
  void bury();

  SocketParts parts_;
  int listening_ = -1;
  bool is_paused_ = false;  ///< No descriptor was left: until the next tick nobody is accepted.
  std::optional<UnixListener> unix_;  ///< Whose descriptor listening_ is; none: of tcp.
  std::shared_ptr<InprocListener> inproc_;

  Peers strangers_;  ///< The one who has been silent longest comes first.
  Peers known_;
  std::vector<Peer*> inproc_peers_;
  std::unordered_map<std::string, Peer*, TransparentHash, std::equal_to<>> by_routing_id_;
  std::vector<Peer*> dirty_;
  Peers dead_;
  std::vector<SharedBytes> received_;
  std::uint64_t nameless_ = 0;
};

}  // namespace tempest::runtime
