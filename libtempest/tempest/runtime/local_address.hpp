#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tempest/runtime/endpoint.hpp"

/// The address at which others reach a node that listens, for those who give none.
namespace tempest::runtime {

bool is_loopback(const SocketAddress& address);

/// Returns the local end of a connection to `remote`, without a port: where `remote` reaches this
/// machine. Sends nothing; nothing if there is no route.
std::optional<SocketAddress> local_end_towards(const SocketAddress& remote);

/// Where a node that others find through these brokers listens, and what it tells them.
struct Reach {
  /// With any free port: of the loopback where every broker is there, else of all addresses.
  std::string bind;
  /// A host, as a URL has it ("10.0.0.7", "[fe80::1]").
  std::string advertise;
  /// Why `advertise` may be wrong; empty if a broker's address tells.
  std::string doubt;
};

/// `brokers`: their endpoints. Asks for addresses of names, which may take many seconds; a broker
/// whose name is not known yet is passed over, and if none is left, this machine's first address
/// that is no loopback is taken.
Reach reach_from(const std::vector<std::string>& brokers);

}  // namespace tempest::runtime
