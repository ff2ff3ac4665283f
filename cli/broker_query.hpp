#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tempest/base/ids.hpp"
#include "tempest/base/result.hpp"
#include "tempest/base/time.hpp"

namespace tempest::cli {

/// A node as a broker lists it; the owning twin of wire::Snapshot::Node.
struct ListedNode {
  Role role{};
  std::string name;
  Incarnation incarnation;
  std::string topology;
  std::string topology_version;
  std::string endpoint;
  std::vector<std::string> tasks;
  std::string state;
  std::uint64_t age_ms = 0;
};

/// Asks these brokers for all nodes, and takes the first answer. Blocks for up to `patience`;
/// `unavailable`, with what to do, if no broker has answered by then.
Result<std::vector<ListedNode>> ask_for_nodes(const std::vector<std::string>& brokers,
                                              Duration patience);

}  // namespace tempest::cli
