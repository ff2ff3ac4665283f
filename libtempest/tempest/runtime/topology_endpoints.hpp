#pragma once

#include "tempest/runtime/topology_check.hpp"
#include "tempest/topology.hpp"

namespace tempest::runtime {

/// Reports what is wrong with where a topology reads and writes, and only shows in several keys
/// together, or in the form of one: URIs of Redis that are none, and dead letters, or entries put
/// aside, that would go back into the source.
void check_endpoints(const DocumentTable& document, const Topology& topology, DocumentCheck& check);

}  // namespace tempest::runtime
