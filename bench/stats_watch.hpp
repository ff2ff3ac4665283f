#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tempest/base/time.hpp"
#include "tempest/wire/frames.hpp"

namespace tempest::bench {

/// What the nodes of one broker last reported over its stats bus. One thread.
class StatsWatch {
 public:
  explicit StatsWatch(const std::string& broker);
  ~StatsWatch();
  StatsWatch(const StatsWatch&) = delete;
  StatsWatch& operator=(const StatsWatch&) = delete;

  /// Takes in what has come, and waits for more up to `patience`. False: nothing came.
  bool wait(Duration patience);

  /// Summed over all nodes that have it, where it has all of these labels; or of one
  /// node.
  std::uint64_t sum(const std::string& number,
                    const std::vector<wire::StatsReport::Label>& labels = {},
                    const std::string& node = {}) const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tempest::bench
