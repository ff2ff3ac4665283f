#include "stats_node/bus_thread.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <ctime>
#include <thread>
#include <zmq.hpp>

#include "tempest/runtime/clock.hpp"
#include "tempest/wire/codec.hpp"

namespace tempest::stats_node {
namespace {

constexpr Duration kInterval = std::chrono::seconds(1);
/// How many reports are read before the time and the stop signal are looked at again.
constexpr int kMaxReportsPerTurn = 1024;

std::string utc_now() {
  std::timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  std::tm parts{};
  ::gmtime_r(&now.tv_sec, &parts);
  std::array<char, 32> date{};
  std::strftime(date.data(), date.size(), "%Y-%m-%dT%H:%M:%S", &parts);
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), "%s.%03ldZ", date.data(), now.tv_nsec / 1'000'000);
  return text.data();
}

}  // namespace

class BusThread::Impl {
 public:
  Impl(runtime::Transport& transport, StatsBoard& board)
      : reports_(runtime::make_subscriber(transport, "report/")),
        publisher_(runtime::make_publisher(transport)),
        board_(board),
        stop_fd_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {}

  ~Impl() {
    if (thread_.joinable()) {
      const std::uint64_t one = 1;
      [[maybe_unused]] const auto written = ::write(stop_fd_, &one, sizeof one);
      thread_.join();
    }
    if (stop_fd_ >= 0) ::close(stop_fd_);
  }

  Result<void> start(const std::vector<std::string>& brokers) {
    if (stop_fd_ < 0) return Error{ErrorCode::limit, "no file descriptor left for statistics"};
    for (const std::string& broker : brokers) {
      const std::string out = runtime::stats_out_endpoint(broker);
      if (auto connected = runtime::connect_socket(reports_, out); !connected) return connected;
      const std::string in = runtime::stats_in_endpoint(broker);
      if (auto connected = runtime::connect_socket(publisher_, in); !connected) return connected;
    }
    board_.make_aggregate(utc_now(), runtime::monotonic_now());
    // From here on the sockets are the thread's (its start is the fence between the two).
    thread_ = std::thread([this] { run(); });
    return {};
  }

 private:
  void run() {
    std::array<zmq_pollitem_t, 2> items{
        {{nullptr, stop_fd_, ZMQ_POLLIN, 0}, {reports_.handle(), 0, ZMQ_POLLIN, 0}}};
    TimePoint publish_at = runtime::monotonic_now() + kInterval;
    while (true) {
      const auto left = std::max(publish_at - runtime::monotonic_now(), Duration::zero());
      const auto timeout_ms = std::chrono::ceil<std::chrono::milliseconds>(left).count();
      const int ready = zmq_poll(items.data(), static_cast<int>(items.size()), timeout_ms);
      if (ready < 0 && zmq_errno() != EINTR) return;
      if (ready > 0 && (items[0].revents & ZMQ_POLLIN) != 0) return;
      for (int i = 0; i < kMaxReportsPerTurn && read_report(); ++i) {
      }
      if (const TimePoint now = runtime::monotonic_now(); now >= publish_at) {
        // Not publish_at + interval: after a pause of the process there is nothing to catch up on.
        publish_at = now + kInterval;
        publish(now);
      }
    }
  }

  /// False if nothing is there.
  bool read_report() {
    zmq::message_t topic;
    if (zmq_msg_recv(topic.handle(), reports_.handle(), ZMQ_DONTWAIT) < 0) return false;
    zmq::message_t body;
    bool more = topic.more();
    std::size_t parts = 0;
    for (; more; ++parts) {
      if (zmq_msg_recv(body.handle(), reports_.handle(), ZMQ_DONTWAIT) < 0) break;
      more = body.more();
    }
    if (parts != 1 || !wire::decode(body.to_string_view(), report_)) {
      board_.count_malformed();
    } else {
      board_.take(report_, runtime::monotonic_now());
    }
    return true;
  }

  void publish(TimePoint now) {
    const std::string json = board_.make_aggregate(utc_now(), now);
    static constexpr std::string_view kTopic = "aggregate";
    if (zmq_send(publisher_.handle(), kTopic.data(), kTopic.size(), ZMQ_DONTWAIT | ZMQ_SNDMORE) >=
        0) {
      zmq_send(publisher_.handle(), json.data(), json.size(), ZMQ_DONTWAIT);
    }
  }

  zmq::socket_t reports_;
  zmq::socket_t publisher_;
  StatsBoard& board_;
  int stop_fd_;
  wire::StatsReport report_;
  std::thread thread_;
};

BusThread::BusThread(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
BusThread::~BusThread() = default;

Result<std::unique_ptr<BusThread>> BusThread::start(runtime::Transport& transport,
                                                    const std::vector<std::string>& brokers,
                                                    StatsBoard& board) {
  auto impl = std::make_unique<Impl>(transport, board);
  if (auto started = impl->start(brokers); !started) return started.error();
  return std::unique_ptr<BusThread>(new BusThread(std::move(impl)));
}

}  // namespace tempest::stats_node
