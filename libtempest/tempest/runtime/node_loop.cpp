#include "tempest/runtime/node_loop.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <map>
#include <optional>
#include <stdexcept>
#include <zmq.hpp>

#include "tempest/runtime/clock.hpp"
#include "tempest/runtime/logging.hpp"
#include "tempest/runtime/transport.hpp"
#include "tempest/wire/codec.hpp"

namespace tempest::runtime {

namespace {

// How much one socket may bring before the node gets its turn: enough to fill frames, little
// enough that heartbeats and other sockets are not kept waiting.
constexpr std::size_t kMaxFramesPerTurn = 128;
constexpr Duration kLongestWait = std::chrono::seconds(1);
// Goodbyes get this long to leave when a socket is closed.
constexpr int kCloseLinger_ms = 200;
// Below this a copy is cheaper than sharing the buffer with ZeroMQ's I/O thread.
constexpr std::size_t kCopyBelowBytes = 512;

bool send_part(zmq::socket_t& socket, const SharedBytes& frame, int flags) {
  zmq_msg_t message;
  if (frame.size() < kCopyBelowBytes) {
    zmq_msg_init_size(&message, frame.size());
    std::memcpy(zmq_msg_data(&message), frame.view().data(), frame.size());
  } else {
    auto* share = new std::shared_ptr<const void>(frame.owner());
    zmq_msg_init_data(
        &message, const_cast<char*>(frame.view().data()), frame.size(),
        [](void*, void* hint) { delete static_cast<std::shared_ptr<const void>*>(hint); }, share);
  }
  if (zmq_msg_send(&message, socket.handle(), flags | ZMQ_DONTWAIT) >= 0) return true;
  zmq_msg_close(&message);
  return false;
}

bool send_part(zmq::socket_t& socket, std::string_view bytes, int flags) {
  return zmq_send(socket.handle(), bytes.data(), bytes.size(), flags | ZMQ_DONTWAIT) >= 0;
}

}  // namespace

class NodeLoop::Impl {
 public:
  Impl(Transport& transport, NodeLoopOptions options)
      : transport_(transport),
        options_(std::move(options)),
        log_(options_.node_name),
        wake_fd_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
    if (wake_fd_ < 0) throw std::runtime_error("no file descriptor left for a node's wake-ups");
  }

  ~Impl() { ::close(wake_fd_); }

  Result<void> bind() {
    if (options_.bind.empty()) return {};
    router_.emplace(make_router(transport_));
    auto bound = bind_socket(router_->socket, options_.bind);
    if (!bound) return bound.error();
    bound_endpoint_ = *bound;
    return {};
  }

  const std::string& bound_endpoint() const { return bound_endpoint_; }

  int run(Node& node) {
    connect_stats();
    node.start(monotonic_now(), effects_);
    node.turn(monotonic_now(), effects_);
    carry_out();
    while (!effects_.finished) {
      wait(node.next_turn());
      take_signals(node);
      const TimePoint now = monotonic_now();
      read_all(node, now);
      node.turn(now, effects_);
      carry_out();
      if (now >= stats_at_) publish_stats(node, now);
    }
    // What was counted since the last time; otherwise it would never be known.
    publish_stats(node, monotonic_now());
    close_all();
    return effects_.exit_code;
  }

  void wake() {
    if (!wake_pending_.exchange(true)) signal();
  }

  void request_stop(bool at_once) {
    stop_requests_.fetch_add(at_once ? 2 : 1);
    signal();
  }

 private:
  /// A socket, and what is known of what has come for it. libzmq's descriptor tells only that there
  /// is news: of what it has, the socket must be asked, once after each use in which it may have
  /// taken in the news by itself. zmq_poll asks every socket twice a round, with a system call
  /// each.
  struct Line {
    explicit Line(zmq::socket_t made)
        : socket(std::move(made)), descriptor(socket.get(zmq::sockopt::fd)) {}

    bool has_something() {
      if (is_unsure && !is_readable) {
        is_readable = (socket.get(zmq::sockopt::events) & ZMQ_POLLIN) != 0;
      }
      is_unsure = false;
      return is_readable;
    }

    zmq::socket_t socket;
    int descriptor;
    bool is_unsure = true;
    bool is_readable = false;  ///< Until a read finds nothing more.
  };

  /// Async-signal-safe.
  void signal() {
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = ::write(wake_fd_, &one, sizeof one);
  }

  void connect_stats() {
    for (const std::string& endpoint : options_.stats_endpoints) {
      if (!stats_) stats_.emplace(make_publisher(transport_));
      if (auto connected = connect_socket(*stats_, endpoint); !connected) {
        log_.warning("statistics are not published: " + connected.error().message);
      }
    }
    stats_at_ = monotonic_now() + options_.stats_interval;
  }

  void wait(TimePoint until) {
    if (polled_stale_) list_polled();
    bool anything = false;
    for_each_line([&](Line& line) { anything = line.has_something() || anything; });
    const TimePoint now = monotonic_now();
    TimePoint deadline = std::min(until, now + kLongestWait);
    if (stats_) deadline = std::min(deadline, stats_at_);
    const auto left = anything ? Duration::zero() : std::max(deadline - now, Duration::zero());
    const auto timeout_ms = std::chrono::ceil<std::chrono::milliseconds>(left).count();
    // EINTR is no error here: the signal's handler has written to wake_fd_.
    if (::poll(polled_.data(), polled_.size(), static_cast<int>(timeout_ms)) < 0) {
      for (pollfd& polled : polled_) polled.revents = 0;
    }
    std::size_t at = 1;
    for_each_line([&](Line& line) {
      if ((polled_[at++].revents & POLLIN) != 0) line.is_unsure = true;
    });
  }

  template <typename Visit>
  void for_each_line(Visit visit) {
    if (router_) visit(*router_);
    for (auto& [channel, line] : dealers_) visit(line);
  }

  /// The order of polled_: the wake-up, then the lines.
  void list_polled() {
    polled_.clear();
    polled_.push_back({wake_fd_, POLLIN, 0});
    for_each_line([&](Line& line) { polled_.push_back({line.descriptor, POLLIN, 0}); });
    polled_stale_ = false;
  }

  void take_signals(Node& node) {
    std::uint64_t count = 0;
    if ((polled_.front().revents & POLLIN) == 0) return;
    if (::read(wake_fd_, &count, sizeof count) != sizeof count) return;
    const TimePoint now = monotonic_now();
    if (wake_pending_.exchange(false)) node.woken(now, effects_);
    const int requests = stop_requests_.load();
    if (requests > stops_taken_) {
      stops_taken_ = requests;
      node.stop(requests > 1, now, effects_);
    }
  }

  /// Only from sockets that have something: to find that there is nothing costs system calls.
  void read_all(Node& node, TimePoint now) {
    if (router_ && router_->has_something()) read_router(node, now);
    for (auto& [channel, line] : dealers_) {
      if (!line.has_something()) continue;
      for (std::size_t i = 0; i < kMaxFramesPerTurn; ++i) {
        std::optional<SharedBytes> frame = read_single_part(line);
        if (!frame) break;
        if (frame->size() == 0) continue;
        node.receive({channel, {}, std::move(*frame)}, now, effects_);
      }
    }
  }

  void read_router(Node& node, TimePoint now) {
    for (std::size_t i = 0; i < kMaxFramesPerTurn; ++i) {
      zmq::message_t routing_id;
      if (zmq_msg_recv(routing_id.handle(), router_->socket.handle(), ZMQ_DONTWAIT) < 0) {
        router_->is_readable = false;
        return;
      }
      if (!routing_id.more()) continue;
      std::optional<SharedBytes> frame = read_single_part(*router_);
      if (!frame) return;
      if (frame->size() == 0) continue;
      node.receive({link::kListener, routing_id.to_string_view(), std::move(*frame)}, now,
                   effects_);
    }
  }

  /// Nothing if nothing is there. Our protocol has one part: of a message with more, an empty
  /// frame is returned, which is no frame of ours.
  std::optional<SharedBytes> read_single_part(Line& line) {
    auto message = std::make_shared<zmq::message_t>();
    if (zmq_msg_recv(message->handle(), line.socket.handle(), ZMQ_DONTWAIT) < 0) {
      line.is_readable = false;
      return std::nullopt;
    }
    if (message->more()) {
      zmq::message_t rest;
      do {
        if (zmq_msg_recv(rest.handle(), line.socket.handle(), ZMQ_DONTWAIT) < 0) break;
      } while (rest.more());
      return SharedBytes{};
    }
    const std::string_view view = message->to_string_view();
    return SharedBytes(std::move(message), view);
  }

  void carry_out() {
    for (const auto& open : effects_.opens) {
      // One for each, so that no two connections to one place take it from each other.
      auto socket =
          make_dealer(transport_, options_.routing_id + "#" +
                                      std::to_string(static_cast<unsigned>(open.channel)));
      if (auto connected = connect_socket(socket, open.endpoint); !connected) {
        log_.error(connected.error().message);
        continue;
      }
      dealers_.insert_or_assign(open.channel, Line(std::move(socket)));
      polled_stale_ = true;
    }
    for (const auto& send : effects_.sends) carry_out(send);
    for (const auto channel : effects_.closes) {
      const auto found = dealers_.find(channel);
      if (found == dealers_.end()) continue;
      found->second.socket.set(zmq::sockopt::linger, kCloseLinger_ms);
      dealers_.erase(found);
      polled_stale_ = true;
    }
    for (const auto& notice : effects_.notices) log_.write(notice);
    for (const auto& publication : effects_.publications) publish(publication);
    effects_.opens.clear();
    effects_.sends.clear();
    effects_.closes.clear();
    effects_.notices.clear();
    effects_.publications.clear();
  }

  void publish(const link::Effects::Publication& publication) {
    if (stats_ && send_part(*stats_, std::string_view(publication.topic), ZMQ_SNDMORE)) {
      send_part(*stats_, std::string_view(publication.body), 0);
    }
  }

  /// A frame that cannot be sent (no connection, no such peer, a full pipe) is dropped: the link
  /// sends it again, or finds that its peer is lost.
  void carry_out(const link::Effects::Send& send) {
    if (send.channel == link::kListener) {
      if (!router_) return;
      router_->is_unsure = true;
      if (send_part(router_->socket, send.routing_id, ZMQ_SNDMORE)) {
        send_part(router_->socket, send.frame, 0);
      }
      return;
    }
    const auto found = dealers_.find(send.channel);
    if (found == dealers_.end()) return;
    found->second.is_unsure = true;
    send_part(found->second.socket, send.frame, 0);
  }

  void publish_stats(Node& node, TimePoint now) {
    if (!stats_) return;
    stats_at_ = now + options_.stats_interval;
    wire::StatsReport report;
    node.report(now, report);
    std::string frame;
    wire::encode(report, frame);
    publish({"report/" + report.topology + "/" + options_.node_name, std::move(frame)});
  }

  void close_all() {
    for_each_line([](Line& line) { line.socket.set(zmq::sockopt::linger, kCloseLinger_ms); });
    if (stats_) stats_->set(zmq::sockopt::linger, kCloseLinger_ms);
    dealers_.clear();
    router_.reset();
    stats_.reset();
  }

  Transport& transport_;
  NodeLoopOptions options_;
  Log log_;
  int wake_fd_;
  std::atomic<bool> wake_pending_{false};
  std::atomic<int> stop_requests_{0};
  int stops_taken_ = 0;

  std::optional<Line> router_;
  std::string bound_endpoint_;
  std::map<link::ChannelId, Line> dealers_;
  std::vector<pollfd> polled_;
  bool polled_stale_ = true;

  std::optional<zmq::socket_t> stats_;
  TimePoint stats_at_{};

  link::Effects effects_;
};

NodeLoop::NodeLoop(Transport& transport, NodeLoopOptions options)
    : impl_(std::make_unique<Impl>(transport, std::move(options))) {}
NodeLoop::~NodeLoop() = default;

Result<void> NodeLoop::bind() {
  return impl_->bind();
}
const std::string& NodeLoop::bound_endpoint() const {
  return impl_->bound_endpoint();
}
int NodeLoop::run(Node& node) {
  return impl_->run(node);
}
void NodeLoop::wake() {
  impl_->wake();
}
void NodeLoop::request_stop(bool at_once) {
  impl_->request_stop(at_once);
}

}  // namespace tempest::runtime
