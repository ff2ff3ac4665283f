#pragma once

#include <string>
#include <vector>

#include "tempest/base/settings.hpp"
#include "tempest/topology.hpp"

/// Makes a topology's parts of tables that have been checked against their schemas (and so have
/// every default). Where a value was wrong, and so left out, the part is good for nothing but to
/// check the rest.
namespace tempest::runtime {

/// `topology_name` is the default of a consumer group.
SourceDefinition make_source(const Settings& settings, const std::string& topology_name);
/// `failure`: whose task_timeout holds for a task without a timeout of its own.
TaskDefinition make_task(const Settings& settings, const FailureDefinition& failure);
/// An empty table gives the defaults.
FailureDefinition make_failure(const Settings& settings);

std::vector<std::string> texts(const Settings::List& list);

}  // namespace tempest::runtime
