#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tempest/base/result.hpp"
#include "tempest/base/time.hpp"
#include "tempest/runtime/bus_feed.hpp"
#include "tempest/runtime/transport.hpp"

namespace tempest::stats_node {

/// The stream of aggregates that stats nodes publish, as a subscriber sees it. For one thread; the
/// transport must outlive it.
class AggregateFeed {
 public:
  /// To every one of these brokers. `invalid_argument` if an address is of no known form.
  static Result<std::unique_ptr<AggregateFeed>> open(runtime::Transport& transport,
                                                     const std::vector<std::string>& brokers);

  /// The next aggregate, one line of JSON; nothing if none comes within `patience`, or a signal
  /// does. What comes by way of several brokers is given once.
  std::optional<std::string> next(Duration patience);

 private:
  explicit AggregateFeed(std::unique_ptr<runtime::BusFeed> feed) : feed_(std::move(feed)) {}

  std::unique_ptr<runtime::BusFeed> feed_;
  std::string last_;
};

}  // namespace tempest::stats_node
