#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tempest/base/result.hpp"
#include "tempest/base/time.hpp"
#include "tempest/runtime/transport.hpp"

namespace tempest::runtime {

/// One topic of brokers' stats buses, as a subscriber sees it. For one thread; the transport must
/// outlive it.
class BusFeed {
 public:
  /// From every one of these brokers, what has a topic that begins so. `invalid_argument` if an
  /// address is of no known form.
  static Result<std::unique_ptr<BusFeed>> open(Transport& transport,
                                               const std::vector<std::string>& brokers,
                                               const std::string& topic);
  ~BusFeed();
  BusFeed(const BusFeed&) = delete;
  BusFeed& operator=(const BusFeed&) = delete;

  /// The next body; nothing if none comes within `patience`, or a signal does.
  std::optional<std::string> next(Duration patience);

 private:
  class Impl;
  explicit BusFeed(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

}  // namespace tempest::runtime
