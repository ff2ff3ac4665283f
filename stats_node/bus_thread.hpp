#pragma once

#include <memory>
#include <string>
#include <vector>

#include "stats_node/stats_board.hpp"
#include "tempest/base/result.hpp"
#include "tempest/runtime/transport.hpp"

namespace tempest::stats_node {

/// Reads every node's reports from the brokers' stats buses into the board, and publishes the
/// aggregate there once a second, in a thread of its own. From construction to destruction; the
/// transport and the board must outlive it.
class BusThread {
 public:
  /// `invalid_argument` if a broker's address is of no known form.
  static Result<std::unique_ptr<BusThread>> start(runtime::Transport& transport,
                                                  const std::vector<std::string>& brokers,
                                                  StatsBoard& board);
  ~BusThread();
  BusThread(const BusThread&) = delete;
  BusThread& operator=(const BusThread&) = delete;

 private:
  class Impl;
  explicit BusThread(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

}  // namespace tempest::stats_node
