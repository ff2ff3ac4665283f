#include "stats_node/http_server.hpp"

#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <list>
#include <thread>
#include <vector>

#include "stats_node/http_request.hpp"
#include "tempest/runtime/clock.hpp"
#include "tempest/runtime/endpoint.hpp"
#include "tempest/runtime/version.hpp"

namespace tempest::stats_node {
namespace {

/// Scrapers and health checks are few; a flood of them must not take the machine.
constexpr std::size_t kMaxConnections = 64;
constexpr int kBacklog = 64;
/// For a request to come as a whole, from the connection or the answer before on.
constexpr Duration kRequestTime = std::chrono::seconds(5);
/// For an answer to be taken.
constexpr Duration kAnswerTime = std::chrono::seconds(30);
/// After the last answer, for the other end to hang up.
constexpr Duration kCloseTime = std::chrono::seconds(1);
/// While no descriptor is left.
constexpr Duration kAcceptPause = std::chrono::milliseconds(100);
/// So much is read of what comes after the last answer, so that the other end gets to that.
constexpr std::size_t kMaxPassedOver = 64UL << 10;
constexpr std::size_t kReadBytes = 4096;

int milliseconds_until(TimePoint until, TimePoint now) {
  if (until == kNever) return -1;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - now).count();
  return static_cast<int>(std::clamp<std::int64_t>(left, 0, 60'000));
}

/// One client. Answers its requests one after the other; never waits for it.
class Connection {
 public:
  using Answer = std::string (*)(const StatsBoard& board, const HttpRequest& request);

  Connection(int descriptor, TimePoint now) : descriptor_(descriptor), until_(now + kRequestTime) {}
  ~Connection() { ::close(descriptor_); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  int descriptor() const { return descriptor_; }
  short wants() const { return sent_ < output_.size() ? POLLOUT : POLLIN; }
  TimePoint until() const { return until_; }
  bool is_over(TimePoint now) const { return is_over_ || now >= until_; }

  void serve(const StatsBoard& board, Answer answer, TimePoint now) {
    if (wants() == POLLIN) read();
    while (!is_over_ && !is_closing_) {
      if (!send(now) || sent_ < output_.size()) return;
      const HttpRequest request = read_http_request(input_);
      if (request.status == 0) return;
      input_.erase(0, request.bytes);
      output_ = request.status == 200 ? answer(board, request)
                                      : http_answer(request, request.status, {}, {});
      sent_ = 0;
      until_ = now + kAnswerTime;
      is_last_ = !request.keeps_open;
    }
  }

 private:
  void read() {
    std::array<char, kReadBytes> bytes;
    const ssize_t count = ::recv(descriptor_, bytes.data(), bytes.size(), MSG_DONTWAIT);
    if (count > 0) {
      const auto size = static_cast<std::size_t>(count);
      if (!is_closing_) {
        input_.append(bytes.data(), size);
      } else if ((passed_over_ += size) > kMaxPassedOver) {
        is_over_ = true;
      }
    } else if (count == 0 || (errno != EAGAIN && errno != EINTR)) {
      is_over_ = true;
    }
  }

  /// False: the answer before was the last.
  bool send(TimePoint now) {
    if (sent_ == output_.size()) return true;
    const ssize_t count = ::send(descriptor_, output_.data() + sent_, output_.size() - sent_,
                                 MSG_DONTWAIT | MSG_NOSIGNAL);
    if (count < 0 && errno != EAGAIN && errno != EINTR) is_over_ = true;
    sent_ += static_cast<std::size_t>(std::max<ssize_t>(count, 0));
    if (sent_ < output_.size()) return true;
    output_.clear();
    sent_ = 0;
    until_ = now + kRequestTime;
    if (!is_last_) return true;
    // Closed with something unread, it would take back what the other end has not read yet.
    ::shutdown(descriptor_, SHUT_WR);
    is_closing_ = true;
    until_ = now + kCloseTime;
    return false;
  }

  int descriptor_;
  TimePoint until_;
  std::string input_;
  std::string output_;
  std::size_t sent_ = 0;
  std::size_t passed_over_ = 0;
  bool is_last_ = false;
  bool is_closing_ = false;
  bool is_over_ = false;
};

std::string health(const HttpRequest& request, const std::string& cause) {
  return http_answer(request, cause.empty() ? 200 : 503, "text/plain; charset=utf-8",
                     (cause.empty() ? "ok" : cause) + "\n");
}

std::string answer(const StatsBoard& board, const HttpRequest& request) {
  const TimePoint now = runtime::monotonic_now();
  if (request.path == "/livez") return health(request, board.not_alive(now));
  if (request.path == "/readyz") return health(request, board.not_ready(now));
  if (request.path == "/version") {
    return http_answer(request, 200, "application/json",
                       "{\"version\":\"" + runtime::version() + "\"}\n");
  }
  if (request.path == "/metrics") {
    return http_answer(request, 200, "text/plain; version=0.0.4; charset=utf-8",
                       board.metrics(now));
  }
  if (request.path == "/stats") {
    return http_answer(request, 200, "application/json", board.aggregate_json() + "\n");
  }
  return http_answer(request, 404, "text/plain; charset=utf-8",
                     "there are /livez, /readyz, /version, /metrics and /stats\n");
}

}  // namespace

bool parse_address(const std::string& address, std::string& host, int& port) {
  const auto colon = address.rfind(':');
  if (colon == std::string::npos || colon == 0) return false;
  const char* first = address.data() + colon + 1;
  const char* last = address.data() + address.size();
  const auto [end, error] = std::from_chars(first, last, port);
  if (error != std::errc() || end != last || first == last || port < 0 || port > 65535)
    return false;
  host = address.substr(0, colon);
  if (host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  return !host.empty();
}

class HttpServer::Impl {
 public:
  explicit Impl(const StatsBoard& board)
      : board_(board), stop_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {}

  ~Impl() {
    if (thread_.joinable()) {
      const std::uint64_t one = 1;
      [[maybe_unused]] const auto written = ::write(stop_, &one, sizeof one);
      thread_.join();
    }
    for (const int descriptor : {stop_, listening_}) {
      if (descriptor >= 0) ::close(descriptor);
    }
  }

  Result<void> start(const std::string& address) {
    std::string host;
    int port = 0;
    if (!parse_address(address, host, port)) {
      return Error{ErrorCode::invalid_argument,
                   "--http takes HOST:PORT, such as 127.0.0.1:9100, not '" + address + "'"};
    }
    const auto found = runtime::look_up_address(host, static_cast<std::uint16_t>(port));
    if (!found) return cannot_listen(address, found.error().message);
    if (stop_ < 0) return cannot_listen(address, "no file descriptor is left");
    listening_ = ::socket(found->family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const int on = 1;
    if (listening_ < 0 || ::setsockopt(listening_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        ::bind(listening_, found->get(), found->length) != 0 ||
        ::listen(listening_, kBacklog) != 0) {
      return cannot_listen(address, errno == EADDRINUSE ? "the address is in use"
                                                        : std::string(std::strerror(errno)));
    }
    runtime::SocketAddress bound;
    bound.length = sizeof bound.storage;
    ::getsockname(listening_, bound.get(), &bound.length);
    const std::string endpoint = runtime::tcp_endpoint(bound);
    address_ = (host.find(':') == std::string::npos ? host : "[" + host + "]") +
               endpoint.substr(endpoint.rfind(':'));
    thread_ = std::thread([this] { serve(); });
    return {};
  }

  const std::string& address() const { return address_; }

 private:
  static Error cannot_listen(const std::string& address, const std::string& why) {
    return {ErrorCode::unavailable,
            "cannot listen on http://" + address + ": " + why + "; choose another with --http"};
  }

  void serve() {
    while (true) {
      const TimePoint now = runtime::monotonic_now();
      std::vector<pollfd> waiting{{stop_, POLLIN, 0},
                                  {now < accept_at_ ? -1 : listening_, POLLIN, 0}};
      TimePoint until = now < accept_at_ ? accept_at_ : kNever;
      for (const Connection& connection : connections_) {
        waiting.push_back({connection.descriptor(), connection.wants(), 0});
        until = std::min(until, connection.until());
      }
      ::poll(waiting.data(), waiting.size(), milliseconds_until(until, now));
      if (waiting[0].revents != 0) return;
      const TimePoint woken_at = runtime::monotonic_now();
      auto ready = waiting.begin() + 2;
      for (Connection& connection : connections_) {
        if ((ready++)->revents != 0) connection.serve(board_, answer, woken_at);
      }
      connections_.remove_if(
          [woken_at](const Connection& connection) { return connection.is_over(woken_at); });
      if (waiting[1].revents != 0) accept_all(woken_at);
    }
  }

  void accept_all(TimePoint now) {
    for (std::size_t i = 0; i < kMaxConnections; ++i) {
      const int descriptor = ::accept4(listening_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (descriptor < 0) {
        if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
          accept_at_ = now + kAcceptPause;
        }
        return;
      }
      // Whoever has been here longest has had its time.
      if (connections_.size() == kMaxConnections) connections_.pop_front();
      connections_.emplace_back(descriptor, now);
    }
  }

  const StatsBoard& board_;
  int stop_;
  int listening_ = -1;
  std::string address_;
  TimePoint accept_at_{};
  std::list<Connection> connections_;  ///< The oldest first.
  std::thread thread_;
};

HttpServer::HttpServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
HttpServer::~HttpServer() = default;

const std::string& HttpServer::address() const {
  return impl_->address();
}

Result<std::unique_ptr<HttpServer>> HttpServer::start(const std::string& address,
                                                      StatsBoard& board) {
  auto impl = std::make_unique<Impl>(board);
  if (auto started = impl->start(address); !started) return started.error();
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(impl)));
}

}  // namespace tempest::stats_node
