#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tempest/base/result.hpp"
#include "tempest/base/time.hpp"
#include "tempest/runtime/transport.hpp"

namespace tempest::stats_node {

/// The stream of aggregates that stats nodes publish, as a subscriber sees it. For one thread; the
/// transport must outlive it.
class AggregateFeed {
 public:
  /// To every one of these brokers. `invalid_argument` if an address is of no known form.
  static Result<std::unique_ptr<AggregateFeed>> open(runtime::Transport& transport,
                                                     const std::vector<std::string>& brokers);
  ~AggregateFeed();
  AggregateFeed(const AggregateFeed&) = delete;
  AggregateFeed& operator=(const AggregateFeed&) = delete;

  /// The next aggregate, one line of JSON; nothing if none comes within `patience`, or a signal
  /// does. What comes by way of several brokers is given once.
  std::optional<std::string> next(Duration patience);

 private:
  class Impl;
  explicit AggregateFeed(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

}  // namespace tempest::stats_node
