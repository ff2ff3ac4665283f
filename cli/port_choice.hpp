#pragma once

#include <cstdint>
#include <string>

#include "tempest/base/result.hpp"

/// Ports of `tempest up`, so that a second one beside the first does not join that one's broker.
namespace tempest::cli {

/// Where something is to listen.
struct WantedPorts {
  std::string address;      ///< "tcp://127.0.0.1:5550" or "127.0.0.1:9100".
  std::uint16_t count = 1;  ///< So many in a row, from the address's on.
  std::uint16_t step = 1;   ///< How far apart the next ones lie that are tried.
  bool is_given = false;    ///< By the user, so it is that or none.
  std::string option;       ///< That names it: "--broker".
};

/// Returns the address, with another port if somebody listens at one of these and the user did not
/// ask for it. `unavailable` says which is taken, and how to name another. An address that is not
/// of TCP, or is for any port, is returned as it is.
Result<std::string> choose_ports(const WantedPorts& wanted);

}  // namespace tempest::cli
