#pragma once

#include <memory>

#include "host.hpp"

/// Each role's real machine, with what its shell owns simulated.
namespace tempest::sim {

std::unique_ptr<Shell> make_broker_shell(World& world, Host& host);
std::unique_ptr<Shell> make_source_shell(World& world, Host& host);
std::unique_ptr<Shell> make_coordinator_shell(World& world, Host& host);
std::unique_ptr<Shell> make_operator_shell(World& world, Host& host, unsigned number);
std::unique_ptr<Shell> make_worker_shell(World& world, Host& host, unsigned number);

}  // namespace tempest::sim
