#include "cli/port_choice.hpp"

#include <unistd.h>

#include <cstdint>

#include "tempest/runtime/endpoint.hpp"

namespace tempest::cli {

namespace {

constexpr std::string_view kScheme = "tcp://";
constexpr std::uint32_t kMostTries = 100;
constexpr std::uint32_t kLastPort = 65'535;

bool is_free(const std::string& host, std::uint16_t port) {
  const auto address = runtime::look_up_address(host, port);
  // The node that is to listen there says what is wrong with the name.
  if (!address) return true;
  const int socket = ::socket(address->family(), SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (socket < 0) return true;
  // As those that listen do it: connections that have ended are no hindrance.
  const int on = 1;
  ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  const bool bound =
      ::bind(socket, address->get(), address->length) == 0 && ::listen(socket, 1) == 0;
  ::close(socket);
  return bound;
}

/// Returns the first of the ports that is taken; 0 if none is.
std::uint16_t first_taken(const std::string& host, std::uint16_t first, std::uint16_t count) {
  for (std::uint16_t i = 0; i < count; ++i) {
    const auto port = static_cast<std::uint16_t>(first + i);
    if (!is_free(host, port)) return port;
  }
  return 0;
}

}  // namespace

Result<std::string> choose_ports(const WantedPorts& wanted) {
  const bool has_scheme = wanted.address.starts_with(kScheme);
  if (!has_scheme && wanted.address.find("://") != std::string::npos) return wanted.address;
  const auto endpoint =
      runtime::parse_endpoint(has_scheme ? wanted.address : std::string(kScheme) + wanted.address);
  if (!endpoint || endpoint->port == 0) return wanted.address;
  const std::string before = wanted.address.substr(0, wanted.address.rfind(':') + 1);
  const std::uint16_t taken = first_taken(endpoint->name, endpoint->port, wanted.count);
  if (taken == 0) return wanted.address;
  const std::string is_taken = "port " + std::to_string(taken) + " of " + wanted.option + " " +
                               wanted.address + " is taken, perhaps by another tempest up";
  for (std::uint32_t i = 1; i < kMostTries; ++i) {
    const std::uint32_t port = endpoint->port + i * wanted.step;
    if (port + wanted.count > kLastPort) break;
    if (first_taken(endpoint->name, static_cast<std::uint16_t>(port), wanted.count) != 0) continue;
    const std::string other = before + std::to_string(port);
    if (!wanted.is_given) return other;
    return Error{ErrorCode::unavailable, is_taken + "; " + other + " is free"};
  }
  return Error{ErrorCode::unavailable, is_taken};
}

}  // namespace tempest::cli
