#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <string>

#include "tempest/base/result.hpp"

namespace tempest::runtime {

/// Where a node listens, or another is to be found.
struct Endpoint {
  enum class Kind : std::uint8_t { tcp, ipc, inproc };
  Kind kind = Kind::tcp;
  /// tcp: a host's name or number, "*" for all of this machine's; ipc: a path, or "@" and a name
  /// that has no file; inproc: a name within this process.
  std::string name;
  std::uint16_t port = 0;  ///< Of tcp. Zero, to listen: any that is free.
};

/// "tcp://HOST:PORT" (with "[...]" around a number of IPv6, and "*" or 0 for any port),
/// "ipc://PATH" or "inproc://NAME". `invalid_argument` says which of these it should be.
Result<Endpoint> parse_endpoint(const std::string& text);

/// An address as the kernel takes it.
struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t length = 0;

  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
  int family() const { return storage.ss_family; }
};

/// Of ipc; `invalid_argument` if the path is too long for the kernel.
Result<SocketAddress> ipc_address(const std::string& path);
/// Of tcp, where the host is a number: nobody needs to be asked.
Result<SocketAddress> numeric_address(const std::string& host, std::uint16_t port);
/// Of tcp, by asking whoever knows names: may take many seconds. `unavailable` if nobody does.
Result<SocketAddress> look_up_address(const std::string& host, std::uint16_t port);
/// Why a node cannot listen at the endpoint `text` (`error` is an errno), and what to do.
Error cannot_listen(const std::string& text, int error);
/// "tcp://127.0.0.1:5550".
std::string tcp_endpoint(const SocketAddress& address);

}  // namespace tempest::runtime
