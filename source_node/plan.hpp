#pragma once

#include <functional>
#include <string>
#include <vector>

#include "tempest/base/result.hpp"
#include "tempest/topology.hpp"

namespace tempest::source_node {

/// What a source node needs to know of its topology.
struct Plan {
  std::string topology;
  std::string version;
  std::vector<std::string> libraries;
  SourceDefinition source;
  FailureDefinition failure;
};

/// From a definition's text. Pure; given to the machine so that it need not know the file's form.
using ReadPlan = std::function<Result<Plan>(const std::string& topology_text)>;

/// True if a source, a dead-letter sink and a failure handler made for the one serve the other as
/// well: then a new version needs no reopening.
bool same_endpoints(const Plan& left, const Plan& right);

}  // namespace tempest::source_node
