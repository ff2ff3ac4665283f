#pragma once

#include <cstdint>
#include <string>

namespace tempest::runtime {

/// True if whoever listens there answers the greeting of TLS in TLS. Connects anew, and waits for a
/// second at most. For an error's text: a server that expects TLS just hangs up on a plain client.
bool speaks_tls(const std::string& host, std::uint16_t port);

}  // namespace tempest::runtime
