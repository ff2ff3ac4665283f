#include "tempest/runtime/endpoint.hpp"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstddef>
#include <cstring>
#include <string_view>

namespace tempest::runtime {

namespace {

Error malformed(const std::string& text) {
  return {ErrorCode::invalid_argument,
          "\"" + text + "\" is no endpoint; one is tcp://HOST:PORT, ipc://PATH or inproc://NAME"};
}

Result<Endpoint> parse_tcp(const std::string& text, std::string_view rest) {
  const auto colon = rest.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return malformed(text);
  Endpoint endpoint;
  std::string_view host = rest.substr(0, colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  }
  endpoint.name = host;
  const std::string_view port = rest.substr(colon + 1);
  if (port == "*") return endpoint;
  const char* end = port.data() + port.size();
  const auto [read_to, error] = std::from_chars(port.data(), end, endpoint.port);
  if (error != std::errc() || read_to != end) return malformed(text);
  return endpoint;
}

/// A host's first address. `flags` as getaddrinfo takes them.
Result<SocketAddress> resolve(const std::string& host, std::uint16_t port, int flags) {
  addrinfo hints{};
  // Names mean addresses of IPv4 here; those of IPv6 are written out.
  hints.ai_family = host.find(':') == std::string::npos ? AF_INET : AF_INET6;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = flags | AI_NUMERICSERV;
  const bool any = host == "*";
  if (any) hints.ai_flags |= AI_PASSIVE;
  addrinfo* found = nullptr;
  const int error =
      ::getaddrinfo(any ? nullptr : host.c_str(), std::to_string(port).c_str(), &hints, &found);
  if (error != 0) {
    return Error{ErrorCode::unavailable, "host " + host + ": " + ::gai_strerror(error)};
  }
  SocketAddress address;
  address.length = found->ai_addrlen;
  std::memcpy(&address.storage, found->ai_addr, found->ai_addrlen);
  ::freeaddrinfo(found);
  return address;
}

}  // namespace

Result<Endpoint> parse_endpoint(const std::string& text) {
  const std::string_view view = text;
  const auto after = [&view](std::string_view scheme) { return view.substr(scheme.size()); };
  if (view.starts_with("tcp://")) return parse_tcp(text, after("tcp://"));
  Endpoint endpoint;
  if (view.starts_with("ipc://")) {
    endpoint.kind = Endpoint::Kind::ipc;
    endpoint.name = after("ipc://");
  } else if (view.starts_with("inproc://")) {
    endpoint.kind = Endpoint::Kind::inproc;
    endpoint.name = after("inproc://");
  }
  if (endpoint.name.empty()) return malformed(text);
  return endpoint;
}

Result<SocketAddress> ipc_address(const std::string& path) {
  SocketAddress address;
  sockaddr_un local{};
  local.sun_family = AF_UNIX;
  if (path.size() >= sizeof local.sun_path) {
    return Error{ErrorCode::invalid_argument, "ipc://" + path + " is too long: a path may have " +
                                                  std::to_string(sizeof local.sun_path - 1) +
                                                  " bytes"};
  }
  std::memcpy(local.sun_path, path.data(), path.size());
  address.length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + 1);
  if (path.front() == '@') {
    local.sun_path[0] = '\0';
    --address.length;
  }
  std::memcpy(&address.storage, &local, sizeof local);
  return address;
}

Result<SocketAddress> numeric_address(const std::string& host, std::uint16_t port) {
  return resolve(host, port, AI_NUMERICHOST);
}

Result<SocketAddress> look_up_address(const std::string& host, std::uint16_t port) {
  return resolve(host, port, 0);
}

Error cannot_listen(const std::string& text, int error) {
  if (error == EADDRINUSE) {
    return {ErrorCode::unavailable,
            "cannot listen on " + text +
                ": the address is in use; stop what uses it, or choose another with --bind"};
  }
  return {ErrorCode::unavailable, "cannot listen on " + text + ": " + std::strerror(error) +
                                      "; choose an address of this machine, such as "
                                      "tcp://127.0.0.1:0"};
}

std::string tcp_endpoint(const SocketAddress& address) {
  std::array<char, NI_MAXHOST> host{};
  std::array<char, NI_MAXSERV> port{};
  if (::getnameinfo(address.get(), address.length, host.data(), host.size(), port.data(),
                    port.size(), NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
    return {};
  }
  const std::string name = host.data();
  const bool is_long = address.family() == AF_INET6;
  return "tcp://" + (is_long ? "[" + name + "]" : name) + ":" + port.data();
}

}  // namespace tempest::runtime
