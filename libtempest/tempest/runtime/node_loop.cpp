#include "tempest/runtime/node_loop.hpp"

#include <algorithm>
#include <atomic>
#include <optional>
#include <zmq.hpp>

#include "tempest/runtime/clock.hpp"
#include "tempest/runtime/leadership.hpp"
#include "tempest/runtime/logging.hpp"
#include "tempest/runtime/network.hpp"
#include "tempest/runtime/transport.hpp"
#include "tempest/wire/codec.hpp"

namespace tempest::runtime {

namespace {

// The last statistics get this long to leave.
constexpr int kStatsLinger_ms = 200;

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
        network_(transport, options_.routing_id, log_) {}

  Result<void> bind() {
    if (options_.bind.empty()) return {};
    auto bound = network_.listen(options_.bind);
    if (!bound) return bound.error();
    bound_endpoint_ = *bound;
    return {};
  }

  const std::string& bound_endpoint() const { return bound_endpoint_; }

  int run(Node& node) {
    connect_stats();
    const TimePoint now = monotonic_now();
    node.start(now, effects_);
    node.turn(now, effects_);
    carry_out(now);
    while (drive(node, Driver::own_thread) == Left::leadership) leadership_.wait_to_lead();
    // What was counted since the last time; otherwise it would never be known.
    publish_stats(node, monotonic_now());
    network_.close_all();
    close_stats();
    return effects_.exit_code;
  }

  void wake() {
    if (!wake_pending_.exchange(true)) network_.doorbell().ring();
  }

  void request_stop(bool at_once) {
    stop_requests_.fetch_add(at_once ? 2 : 1);
    network_.doorbell().ring_always();
  }

 private:
  /// Hands the frames of one turn to the node.
  class Reader final : public FrameSink {
   public:
    Reader(Node& node, TimePoint now, link::Effects& effects)
        : node_(node), now_(now), effects_(effects) {}

    void receive(link::ChannelId channel, std::string_view routing_id, SharedBytes frame) override {
      if (frame.size() > 0) node_.receive({channel, routing_id, std::move(frame)}, now_, effects_);
    }

   private:
    Node& node_;
    TimePoint now_;
    link::Effects& effects_;
  };

  enum class Driver : std::uint8_t { own_thread, call_thread };
  enum class Left : std::uint8_t { finished, leadership };

  Left drive(Node& node, Driver driver) {
    while (!effects_.finished) {
      wait(node.next_turn());
      const TimePoint now = monotonic_now();
      take_signals(node, now);
      Reader reader(node, now, effects_);
      network_.read(now, reader);
      node.turn(now, effects_);
      carry_out(now);
      if (now >= stats_at_) publish_stats(node, now);
      if (!make_calls(node, driver)) return Left::leadership;
      if (driver == Driver::call_thread && node.is_call_thread_wanted()) break;
    }
    if (driver == Driver::own_thread) return Left::finished;
    leadership_.give_back();
    return Left::leadership;
  }

  /// False: another thread drives the loop now, or may at any moment.
  bool make_calls(Node& node, Driver driver) {
    while (const std::unique_ptr<Call> call = node.take_call()) {
      const bool is_brief = call->is_brief();
      if (driver == Driver::call_thread) {
        if (!is_brief) {
          leadership_.give_back();
          call->make();
          return false;
        }
        const auto token = leadership_.lend(monotonic_now());
        call->make();
        if (!leadership_.take_back(token)) return false;
      } else if (is_brief && call->is_thread_free()) {
        const auto token = leadership_.lend(monotonic_now());
        call->send([this, &node, token] {
          if (leadership_.take_back(token)) drive(node, Driver::call_thread);
        });
        return false;
      } else {
        call->send({});
      }
    }
    return true;
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
    if (stats_) until = std::min(until, stats_at_);
    network_.wait(until,
                  [this] { return wake_pending_.load() || stop_requests_.load() > stops_taken_; });
  }

  void take_signals(Node& node, TimePoint now) {
    if (wake_pending_.load(std::memory_order_relaxed) && wake_pending_.exchange(false)) {
      node.woken(now, effects_);
    }
    const int requests = stop_requests_.load();
    if (requests > stops_taken_) {
      stops_taken_ = requests;
      node.stop(requests > 1, now, effects_);
    }
  }

  void carry_out(TimePoint now) {
    for (const auto& open : effects_.opens) {
      if (auto opened = network_.open(open.channel, open.endpoint, now); !opened) {
        log_.error(opened.error().message);
      }
    }
    for (const auto& send : effects_.sends) network_.send(send, now);
    network_.flush(now);
    for (const auto channel : effects_.closes) network_.close(channel);
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

  void publish_stats(Node& node, TimePoint now) {
    if (!stats_) return;
    stats_at_ = now + options_.stats_interval;
    wire::StatsReport report;
    node.report(now, report);
    std::string frame;
    wire::encode(report, frame);
    publish({"report/" + report.topology + "/" + options_.node_name, std::move(frame)});
  }

  void close_stats() {
    if (stats_) stats_->set(zmq::sockopt::linger, kStatsLinger_ms);
    stats_.reset();
  }

  Transport& transport_;
  NodeLoopOptions options_;
  Log log_;
  Network network_;
  Leadership leadership_;
  std::atomic<bool> wake_pending_{false};
  std::atomic<int> stop_requests_{0};
  int stops_taken_ = 0;

  std::string bound_endpoint_;

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
