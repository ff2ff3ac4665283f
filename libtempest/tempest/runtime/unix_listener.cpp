#include "tempest/runtime/unix_listener.hpp"

#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <optional>
#include <utility>

#include "tempest/runtime/endpoint.hpp"

namespace tempest::runtime {

namespace {

constexpr int kBacklog = 1024;

std::optional<struct stat> status_of(const std::string& path) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0) return std::nullopt;
  return status;
}

/// The file of a node that was killed stays behind. Of one that lives, it answers.
bool is_left_behind(const SocketAddress& address) {
  const int probe = ::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (probe < 0) return false;
  const bool is_refused =
      ::connect(probe, address.get(), address.length) != 0 && errno == ECONNREFUSED;
  ::close(probe);
  return is_refused;
}

}  // namespace

Result<UnixListener> UnixListener::open(const std::string& path) {
  UnixListener listener;
  if (auto bound = listener.bind(path); !bound) return bound.error();
  return listener;
}

Result<void> UnixListener::bind(const std::string& path) {
  const std::string text = "ipc://" + path;
  const auto address = ipc_address(path);
  if (!address) {
    return Error{ErrorCode::unavailable,
                 "cannot listen on " + text + ": " + address.error().message};
  }
  descriptor_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (descriptor_ < 0) return cannot_listen(text, errno);
  const bool has_file = path.front() != '@';
  if (::bind(descriptor_, address->get(), address->length) != 0) {
    if (errno != EADDRINUSE || !has_file) return cannot_listen(text, errno);
    const auto status = status_of(path);
    if (status && !S_ISSOCK(status->st_mode)) {
      return Error{ErrorCode::unavailable, "cannot listen on " + text +
                                               ": a file that is no socket stands there; name "
                                               "another path with --bind, or remove the file"};
    }
    if (!is_left_behind(*address)) return cannot_listen(text, EADDRINUSE);
    ::unlink(path.c_str());
    if (::bind(descriptor_, address->get(), address->length) != 0) {
      return cannot_listen(text, errno);
    }
  }
  if (const auto status = has_file ? status_of(path) : std::nullopt) {
    path_ = path;
    device_ = status->st_dev;
    inode_ = status->st_ino;
  }
  if (::listen(descriptor_, kBacklog) != 0) return cannot_listen(text, errno);
  return {};
}

UnixListener::UnixListener(UnixListener&& other) noexcept {
  *this = std::move(other);
}

UnixListener& UnixListener::operator=(UnixListener&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  std::swap(path_, other.path_);
  std::swap(device_, other.device_);
  std::swap(inode_, other.inode_);
  return *this;
}

UnixListener::~UnixListener() {
  // While the socket is open its inode's number is no other file's.
  const auto status = path_.empty() ? std::nullopt : status_of(path_);
  if (status && status->st_dev == device_ && status->st_ino == inode_) ::unlink(path_.c_str());
  if (descriptor_ >= 0) ::close(descriptor_);
}

}  // namespace tempest::runtime
