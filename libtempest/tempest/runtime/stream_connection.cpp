#include "tempest/runtime/stream_connection.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "tempest/runtime/clock.hpp"
#include "tempest/runtime/transport.hpp"

namespace tempest::runtime {

namespace {

constexpr std::size_t kPiecesPerWrite = 64;

}  // namespace

StreamConnection::StreamConnection(int descriptor, zmtp::Settings settings, TimePoint now)
    : descriptor_(descriptor), engine_(std::move(settings), now) {
  // Frames are gathered here already; the kernel need not wait for more. (Unix sockets never do,
  // and refuse to be told.)
  const int yes = 1;
  ::setsockopt(descriptor_, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
}

StreamConnection::~StreamConnection() {
  // What was sent gets out even where something that came has not been read.
  ::shutdown(descriptor_, SHUT_WR);
  ::close(descriptor_);
}

bool StreamConnection::fill(TimePoint now) {
  if (is_over()) return false;
  std::array<iovec, 2> pieces{};
  std::size_t room = 0;
  const auto space = engine_.space();
  for (std::size_t i = 0; i < space.size(); ++i) {
    pieces[i] = {space[i].data(), space[i].size()};
    room += space[i].size();
  }
  const ssize_t count = ::readv(descriptor_, pieces.data(), static_cast<int>(pieces.size()));
  if (count > 0) {
    engine_.received(static_cast<std::size_t>(count), now);
    return static_cast<std::size_t>(count) == room;
  }
  if (count == 0 || (errno != EAGAIN && errno != EINTR)) hung_up_ = true;
  return false;
}

bool StreamConnection::send(SharedBytes frame, TimePoint now) {
  if (!is_ready() || engine_.output().frames() >= kMaxQueuedFrames) return false;
  engine_.send(std::move(frame), now);
  return true;
}

void StreamConnection::flush() {
  zmtp::SendQueue& output = engine_.output();
  std::array<std::string_view, kPiecesPerWrite> parts;
  std::array<iovec, kPiecesPerWrite> pieces{};
  while (!output.is_empty() && !hung_up_) {
    const std::size_t count = output.gather(parts);
    for (std::size_t i = 0; i < count; ++i) {
      // The kernel reads only; iovec serves both ways.
      pieces[i] = {const_cast<char*>(parts[i].data()), parts[i].size()};
    }
    msghdr message{};
    message.msg_iov = pieces.data();
    message.msg_iovlen = count;
    const ssize_t written = ::sendmsg(descriptor_, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (written < 0) {
      if (errno == EINTR) continue;
      if (errno != EAGAIN) hung_up_ = true;
      return;
    }
    output.consume(static_cast<std::size_t>(written));
  }
}

void StreamConnection::linger(Duration patience) {
  const TimePoint until = monotonic_now() + patience;
  flush();
  while (has_unsent() && !is_over()) {
    const auto left_ms =
        std::chrono::ceil<std::chrono::milliseconds>(until - monotonic_now()).count();
    pollfd polled{descriptor_, POLLOUT, 0};
    if (left_ms <= 0 || ::poll(&polled, 1, static_cast<int>(left_ms)) <= 0) return;
    flush();
  }
}

}  // namespace tempest::runtime
