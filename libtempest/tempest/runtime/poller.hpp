#pragma once

#include <sys/epoll.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "tempest/base/shared_bytes.hpp"
#include "tempest/base/time.hpp"
#include "tempest/link/node.hpp"

namespace tempest::runtime {

/// Where frames go that have come in.
class FrameSink {
 public:
  /// `routing_id` as in link::FrameReceived; valid during the call.
  virtual void receive(link::ChannelId channel, std::string_view routing_id, SharedBytes frame) = 0;

 protected:
  ~FrameSink() = default;
};

/// One round of a loop.
struct Turn {
  TimePoint now;
  FrameSink& sink;
};

/// Whoever waits for a descriptor.
class Watcher {
 public:
  /// It is readable, writable or broken (EPOLLIN, ...).
  virtual void ready(std::uint32_t events, Turn& turn) = 0;

 protected:
  ~Watcher() = default;
};

/// The descriptors that one thread waits for (epoll). Watchers outlive what is theirs here.
class Poller {
 public:
  /// Throws std::runtime_error if no descriptor is left.
  Poller();
  ~Poller();
  Poller(const Poller&) = delete;
  Poller& operator=(const Poller&) = delete;

  /// Waits for it to be readable, and, if so wished, writable.
  void add(int descriptor, Watcher* watcher, bool for_writing);
  void change(int descriptor, Watcher* watcher, bool for_writing);
  /// From a watcher's call, too: nothing more will come of it.
  void remove(int descriptor, const Watcher* watcher);

  /// Readable while something is ready.
  int descriptor() const { return descriptor_; }

  /// Until something is ready, a signal comes or the time is over.
  void wait(Duration timeout);
  /// The last wait() may have left out some of what is ready: it has room for kMostReady, and a
  /// signal (SIGCONT, say) ends it with nothing.
  bool may_have_more() const { return may_have_more_; }
  /// The number of waits after which all that was ready before the first of them has been given.
  std::size_t rounds() const { return watched_ / kMostReady + 1; }
  /// Calls the watchers of what is ready.
  void dispatch(Turn& turn);

 private:
  static constexpr std::size_t kMostReady = 256;

  int wait_until_ready(Duration timeout);

  int descriptor_;
  std::size_t watched_ = 0;
  bool may_have_more_ = false;
  std::array<epoll_event, kMostReady> events_{};
  std::size_t ready_ = 0;
};

}  // namespace tempest::runtime
