#pragma once

#include <memory>
#include <string>

#include "stats_node/stats_board.hpp"
#include "tempest/base/result.hpp"

namespace tempest::stats_node {

/// The stats node over HTTP, read-only, with a thread of its own: /livez, /readyz, /version,
/// /metrics, /stats. From construction to destruction; the board must outlive it.
class HttpServer {
 public:
  /// `address`: "HOST:PORT"; port 0 picks a free one. `invalid_argument` if it is of another form,
  /// `unavailable` if it is taken.
  static Result<std::unique_ptr<HttpServer>> start(const std::string& address, StatsBoard& board);
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  /// "HOST:PORT", the port filled in.
  const std::string& address() const;

 private:
  class Impl;
  explicit HttpServer(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

/// "HOST:PORT" or "[HOST]:PORT" taken apart; false if it is of another form.
bool parse_address(const std::string& address, std::string& host, int& port);

}  // namespace tempest::stats_node
