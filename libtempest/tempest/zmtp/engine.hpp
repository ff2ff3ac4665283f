#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tempest/base/limits.hpp"
#include "tempest/base/shared_bytes.hpp"
#include "tempest/base/time.hpp"
#include "tempest/zmtp/format.hpp"
#include "tempest/zmtp/send_queue.hpp"

namespace tempest::zmtp {

struct Settings {
  SocketType type = SocketType::dealer;
  /// Of a dealer: the routing id under which the router knows it.
  std::string identity;
  std::size_t max_frame_bytes = kMaxFrameBytes;
  /// Whoever connects and does not say who it is within this time is let go.
  Duration handshake_timeout = std::chrono::milliseconds(3000);
  /// A dealer pings after so long a silence of either side...
  Duration heartbeat_interval = std::chrono::milliseconds(1000);
  /// ... and hangs up after this one; it asks the router to do the same.
  Duration heartbeat_timeout = std::chrono::milliseconds(4000);
};

/// One end of one connection: the bytes that come in become frames, the frames that go out become
/// bytes. Knows no socket and no clock. It is a ZeroMQ DEALER or ROUTER to its peer, so that any
/// ZeroMQ library can be that peer; our frames are messages of one part, and others are dropped.
///
/// Reading: let the socket write to space(), tell received(), take frames by next() until there
/// are none. A frame of more than the reading buffer is read right to its place.
///
/// Once failed() it stays so: close the connection.
class Engine {
 public:
  Engine(Settings settings, TimePoint now);

  /// Where the next bytes belong, in order. Valid until the next call; at least one is not empty.
  std::array<std::span<char>, 2> space();
  /// So many bytes have been written to them.
  void received(std::size_t bytes, TimePoint now);
  /// The next whole frame.
  std::optional<SharedBytes> next();

  /// The peer has said who it is: frames may be sent.
  bool is_ready() const { return stage_ == Stage::ready; }
  /// Of a router's peer; empty if it has none of its own.
  std::string_view peer_identity() const { return peer_identity_; }

  bool failed() const { return !failure_.empty(); }
  /// What the peer did wrong, to go after "the peer": for the log.
  const std::string& failure() const { return failure_; }

  /// Only when is_ready().
  void send(SharedBytes frame, TimePoint now);
  SendQueue& output() { return output_; }
  const SendQueue& output() const { return output_; }

  /// To be called once a second or so: finds silence.
  void tick(TimePoint now);

 private:
  enum class Stage : std::uint8_t { greeting, handshake, ready };

  /// A frame that has come in part.
  struct Arriving {
    std::shared_ptr<char[]> bytes;
    std::size_t size = 0;
    std::size_t filled = 0;
    std::uint8_t flags = 0;

    bool is_whole() const { return filled == size; }
  };

  std::size_t buffered() const { return end_ - begin_; }
  bool take_greeting();
  /// False if there is not enough for it yet, or it is wrong.
  bool begin_frame();
  bool may_begin(std::uint8_t flags, std::uint64_t size);
  void handle_command(std::string_view body);
  void handle_ready(std::string_view rest);
  void fail(std::string why);

  Settings settings_;
  Stage stage_ = Stage::greeting;
  std::string failure_;
  std::string peer_identity_;

  std::vector<char> buffer_;
  std::size_t begin_ = 0;  ///< What of buffer_ has come and is not taken: from here ...
  std::size_t end_ = 0;    ///< ... to here.
  std::optional<Arriving> arriving_;
  bool in_parts_ = false;  ///< Of a message of several parts one has come, and not the last.

  SendQueue output_;
  TimePoint began_;
  TimePoint last_received_;
  TimePoint last_sent_;
  Duration peer_ttl_{0};  ///< As the peer's pings ask for. Zero: it has not asked.
};

}  // namespace tempest::zmtp
