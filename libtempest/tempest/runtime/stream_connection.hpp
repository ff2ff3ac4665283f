#pragma once

#include <cstddef>
#include <string>
#include <utility>

#include "tempest/base/shared_bytes.hpp"
#include "tempest/base/time.hpp"
#include "tempest/zmtp/engine.hpp"

namespace tempest::runtime {

/// A connected socket (TCP or Unix) and its end of the protocol. Owns the descriptor.
class StreamConnection {
 public:
  StreamConnection(int descriptor, zmtp::Settings settings, TimePoint now);
  ~StreamConnection();
  StreamConnection(const StreamConnection&) = delete;
  StreamConnection& operator=(const StreamConnection&) = delete;

  int descriptor() const { return descriptor_; }
  bool is_ready() const { return engine_.is_ready(); }
  std::string_view peer_identity() const { return engine_.peer_identity(); }

  /// Reads what has come, up to one turn's share, and gives each frame to `visit`.
  template <typename Visit>
  void read(TimePoint now, Visit visit) {
    bool more = true;
    for (std::size_t reads = 0; more && reads < kMaxReadsPerTurn; ++reads) {
      more = fill(now);
      while (auto frame = engine_.next()) visit(std::move(*frame));
    }
    // The protocol's own answers.
    flush();
  }

  /// Keeps it until flush(). False: not ready, or too much waits already.
  bool send(SharedBytes frame, TimePoint now);
  /// Gives the kernel as much as it takes.
  void flush();
  /// The kernel did not take all: flush() once it is writable.
  bool has_unsent() const { return !engine_.output().is_empty(); }

  void tick(TimePoint now) { engine_.tick(now); }

  /// Nothing more will come of it: close it.
  bool is_over() const { return hung_up_ || engine_.failed(); }
  /// What the peer did wrong; empty if it just left.
  const std::string& failure() const { return engine_.failure(); }

  /// Gives what is unsent so long to get out; then destroy it.
  void linger(Duration patience);

 private:
  /// Heartbeats and other connections must not be kept waiting by one that always has more.
  static constexpr std::size_t kMaxReadsPerTurn = 16;

  /// One read. False: that was all there is, for now.
  bool fill(TimePoint now);

  int descriptor_;
  bool hung_up_ = false;
  zmtp::Engine engine_;
};

}  // namespace tempest::runtime
