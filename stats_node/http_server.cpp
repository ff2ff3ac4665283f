#include "stats_node/http_server.hpp"

#include <httplib.h>

#include <charconv>
#include <thread>

#include "tempest/runtime/clock.hpp"
#include "tempest/runtime/version.hpp"

namespace tempest::stats_node {
namespace {

/// Scrapers and health checks are few; a flood of them must not take the machine.
constexpr std::size_t kThreads = 2;
constexpr std::time_t kTimeoutSeconds = 5;
constexpr std::size_t kMaxRequestBytes = 4096;

constexpr int kOk = 200;
constexpr int kUnavailable = 503;

void answer(httplib::Response& response, const std::string& cause) {
  response.status = cause.empty() ? kOk : kUnavailable;
  response.set_content((cause.empty() ? "ok" : cause) + "\n", "text/plain; charset=utf-8");
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
  explicit Impl(StatsBoard& board) {
    server_.new_task_queue = [] { return new httplib::ThreadPool(kThreads); };
    // By default two servers share one port, and each gets some of the requests.
    server_.set_socket_options([](socket_t socket) {
      const int on = 1;
      ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    });
    server_.set_read_timeout(kTimeoutSeconds);
    server_.set_write_timeout(kTimeoutSeconds);
    server_.set_payload_max_length(kMaxRequestBytes);
    server_.Get("/livez", [&board](const httplib::Request&, httplib::Response& response) {
      answer(response, board.not_alive(runtime::monotonic_now()));
    });
    server_.Get("/readyz", [&board](const httplib::Request&, httplib::Response& response) {
      answer(response, board.not_ready(runtime::monotonic_now()));
    });
    server_.Get("/version", [](const httplib::Request&, httplib::Response& response) {
      response.set_content("{\"version\":\"" + runtime::version() + "\"}\n", "application/json");
    });
    server_.Get("/metrics", [&board](const httplib::Request&, httplib::Response& response) {
      response.set_content(board.metrics(runtime::monotonic_now()),
                           "text/plain; version=0.0.4; charset=utf-8");
    });
    server_.Get("/stats", [&board](const httplib::Request&, httplib::Response& response) {
      response.set_content(board.aggregate_json() + "\n", "application/json");
    });
  }

  ~Impl() {
    server_.stop();
    if (thread_.joinable()) thread_.join();
  }

  Result<void> start(const std::string& address) {
    std::string host;
    int port = 0;
    if (!parse_address(address, host, port)) {
      return Error{ErrorCode::invalid_argument,
                   "--http takes HOST:PORT, such as 127.0.0.1:9100, not '" + address + "'"};
    }
    if (port == 0) {
      port = server_.bind_to_any_port(host);
      if (port <= 0) return cannot_listen(address);
    } else if (!server_.bind_to_port(host, port)) {
      return cannot_listen(address);
    }
    address_ = (host.find(':') == std::string::npos ? host : "[" + host + "]") + ":" +
               std::to_string(port);
    thread_ = std::thread([this] { server_.listen_after_bind(); });
    // stop() is heard only by a server that runs.
    while (!server_.is_running()) std::this_thread::yield();
    return {};
  }

  const std::string& address() const { return address_; }

 private:
  static Error cannot_listen(const std::string& address) {
    return {ErrorCode::unavailable,
            "cannot listen on http://" + address +
                ": the address is in use or not of this machine; choose another with --http"};
  }

  httplib::Server server_;
  std::string address_;
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
