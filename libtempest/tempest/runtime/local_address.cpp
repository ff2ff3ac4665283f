#include "tempest/runtime/local_address.hpp"

#include <ifaddrs.h>
#include <netinet/in.h>
#include <unistd.h>

#include <cstring>
#include <memory>

namespace tempest::runtime {

namespace {

/// Returns "10.0.0.7" or "[fe80::1]".
std::string host_of(const SocketAddress& address) {
  const std::string endpoint = tcp_endpoint(address).substr(std::strlen("tcp://"));
  return endpoint.substr(0, endpoint.rfind(':'));
}

std::optional<SocketAddress> first_address_of_this_machine() {
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) return std::nullopt;
  const std::unique_ptr<ifaddrs, void (*)(ifaddrs*)> owner(list, ::freeifaddrs);
  for (const ifaddrs* one = list; one != nullptr; one = one->ifa_next) {
    if (one->ifa_addr == nullptr || one->ifa_addr->sa_family != AF_INET) continue;
    SocketAddress address;
    address.length = sizeof(sockaddr_in);
    std::memcpy(&address.storage, one->ifa_addr, sizeof(sockaddr_in));
    if (!is_loopback(address)) return address;
  }
  return std::nullopt;
}

/// Returns a broker's address; of one that is not of TCP, the loopback, since it is on this
/// machine.
Result<SocketAddress> address_of_broker(const std::string& broker) {
  const auto endpoint = parse_endpoint(broker);
  if (!endpoint) return endpoint.error();
  if (endpoint->kind != Endpoint::Kind::tcp) return numeric_address("127.0.0.1", 0);
  return look_up_address(endpoint->name, endpoint->port);
}

}  // namespace

bool is_loopback(const SocketAddress& address) {
  if (address.family() == AF_INET) {
    const auto* four = reinterpret_cast<const sockaddr_in*>(address.get());
    return (ntohl(four->sin_addr.s_addr) >> 24) == 127;
  }
  const auto* six = reinterpret_cast<const sockaddr_in6*>(address.get());
  return address.family() == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&six->sin6_addr);
}

std::optional<SocketAddress> local_end_towards(const SocketAddress& remote) {
  // A datagram socket that is connected has chosen its way, and sent nothing.
  const int socket = ::socket(remote.family(), SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (socket < 0) return std::nullopt;
  SocketAddress local;
  local.length = sizeof local.storage;
  const bool is_known = ::connect(socket, remote.get(), remote.length) == 0 &&
                        ::getsockname(socket, local.get(), &local.length) == 0;
  ::close(socket);
  if (!is_known) return std::nullopt;
  return local;
}

Reach reach_from(const std::vector<std::string>& brokers) {
  std::optional<SocketAddress> loopback;
  std::string unknown;
  for (const std::string& broker : brokers) {
    const auto address = address_of_broker(broker);
    if (address && is_loopback(*address)) {
      loopback = *address;
      continue;
    }
    const auto local = address ? local_end_towards(*address) : std::nullopt;
    if (local) return {"tcp://*:0", host_of(*local), {}};
    unknown = address ? "there is no way to " + broker : address.error().message;
  }
  if (unknown.empty() && loopback) {
    const std::string host = loopback->family() == AF_INET6 ? "[::1]" : "127.0.0.1";
    return {"tcp://" + host + ":0", host, {}};
  }
  if (const auto first = first_address_of_this_machine()) {
    return {"tcp://*:0", host_of(*first), unknown};
  }
  return {"tcp://*:0", "127.0.0.1", unknown};
}

}  // namespace tempest::runtime
