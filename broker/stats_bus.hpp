#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tempest/base/result.hpp"
#include "tempest/runtime/transport.hpp"

namespace tempest::broker {

/// The broker's stats bus: what nodes publish goes to whoever subscribes, in a thread of its own so
/// that statistics never hold up the control channel. Forwards whole messages without reading
/// them; drops what a subscriber is too slow for. Runs from its construction to its destruction.
class StatsBus {
 public:
  /// Binds where nodes publish (several places) and where subscribers connect, and starts the
  /// thread. `transport` must outlive the bus. `unavailable` if an address is taken.
  static Result<std::unique_ptr<StatsBus>> open(runtime::Transport& transport,
                                                const std::vector<std::string>& in_endpoints,
                                                const std::string& out_endpoint);
  ~StatsBus();
  StatsBus(const StatsBus&) = delete;
  StatsBus& operator=(const StatsBus&) = delete;

 private:
  class Impl;
  explicit StatsBus(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

}  // namespace tempest::broker
