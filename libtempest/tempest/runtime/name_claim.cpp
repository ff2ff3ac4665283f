#include "tempest/runtime/name_claim.hpp"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdio>

#include "tempest/base/hash.hpp"

namespace tempest::runtime {
namespace {

constexpr int kMostNames = 1'000;

/// Binds a socket whose name is no file's (it begins with a zero). 0, or an errno.
int bind_to(int socket, std::string_view name) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::size_t size = std::min(name.size(), sizeof address.sun_path - 1);
  std::copy_n(name.begin(), size, address.sun_path + 1);
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + size);
  return ::bind(socket, reinterpret_cast<const sockaddr*>(&address), length) == 0 ? 0 : errno;
}

std::string socket_name(std::string_view purpose, const std::string& name) {
  char digits[17];
  std::snprintf(digits, sizeof digits, "%016llx",
                static_cast<unsigned long long>(
                    hash_bytes(std::string(purpose) + std::string(1, '\0') + name)));
  return std::string("tempest-name-") + digits;
}

}  // namespace

NameClaim::NameClaim(std::string_view purpose, const std::string& base) : name_(base) {
  socket_ = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  for (int number = 1; socket_ >= 0 && number <= kMostNames; ++number) {
    const std::string name = number == 1 ? base : base + "-" + std::to_string(number);
    const int error = bind_to(socket_, socket_name(purpose, name));
    if (error == EADDRINUSE) continue;
    // Where no such socket can be bound, nothing can be told apart.
    if (error == 0) name_ = name;
    return;
  }
}

NameClaim::~NameClaim() {
  if (socket_ >= 0) ::close(socket_);
}

}  // namespace tempest::runtime
