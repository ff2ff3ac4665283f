#pragma once

#include <memory>

#include "tempest/runtime/doorbell.hpp"
#include "tempest/runtime/inproc.hpp"
#include "tempest/runtime/poller.hpp"

namespace tempest::runtime {

/// What the sockets of one loop have in common.
struct SocketParts {
  Poller& poller;
  std::shared_ptr<Doorbell> doorbell;
  InprocHub& hub;
};

}  // namespace tempest::runtime
