#include "tempest/zmtp/engine.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace tempest::zmtp {

namespace {

/// Enough for a greeting and a handshake: strangers get no more.
constexpr std::size_t kFirstBufferBytes = 1024;
/// Many small frames in one read; of large ones, this much is copied.
constexpr std::size_t kBufferBytes = 64ULL << 10;
constexpr std::size_t kMaxFramesBeforePong = 1024;

}  // namespace

Engine::Engine(Settings settings, TimePoint now)
    : settings_(std::move(settings)),
      buffer_(kFirstBufferBytes),
      began_(now),
      last_received_(now),
      last_sent_(now) {
  output_.push_bytes(SharedBytes(greeting()));
}

std::array<std::span<char>, 2> Engine::space() {
  std::array<std::span<char>, 2> pieces;
  if (arriving_) {
    // Whatever the buffer held has been moved to the frame.
    pieces[0] = {arriving_->bytes.get() + arriving_->filled, arriving_->size - arriving_->filled};
  } else if (begin_ > 0) {
    // A head, or a greeting, in part.
    std::memmove(buffer_.data(), buffer_.data() + begin_, buffered());
    end_ -= begin_;
    begin_ = 0;
  }
  pieces[1] = {buffer_.data() + end_, buffer_.size() - end_};
  return pieces;
}

void Engine::received(std::size_t bytes, TimePoint now) {
  last_received_ = now;
  if (arriving_) {
    const std::size_t of_frame = std::min(bytes, arriving_->size - arriving_->filled);
    arriving_->filled += of_frame;
    bytes -= of_frame;
  }
  end_ += bytes;
}

std::optional<SharedBytes> Engine::next() {
  while (!failed()) {
    if (stage_ == Stage::greeting && !take_greeting()) return std::nullopt;
    if (!arriving_ && !begin_frame()) return std::nullopt;
    if (!arriving_->is_whole()) return std::nullopt;
    Arriving frame = std::move(*arriving_);
    arriving_.reset();
    const std::string_view body(frame.bytes.get(), frame.size);
    if ((frame.flags & kCommandFlag) != 0) {
      handle_command(body);
      continue;
    }
    const bool is_last = (frame.flags & kMoreFlag) == 0;
    const bool is_only = is_last && !in_parts_;
    in_parts_ = !is_last;
    if (is_only) return SharedBytes(std::move(frame.bytes), body);
  }
  return std::nullopt;
}

bool Engine::take_greeting() {
  const std::string_view come(buffer_.data() + begin_, buffered());
  std::string why;
  if (!may_be_greeting(come.substr(0, kGreetingBytes), why)) {
    fail(std::move(why));
    return false;
  }
  if (come.size() < kGreetingBytes) return false;
  begin_ += kGreetingBytes;
  stage_ = Stage::handshake;
  output_.push_frame(kCommandFlag, SharedBytes(ready_command(settings_.type, settings_.identity)));
  return true;
}

bool Engine::begin_frame() {
  if (buffered() < 2) return false;
  const char* head = buffer_.data() + begin_;
  const auto flags = static_cast<std::uint8_t>(head[0]);
  std::size_t head_bytes = 2;
  std::uint64_t size = static_cast<std::uint8_t>(head[1]);
  if ((flags & kLongFlag) != 0) {
    head_bytes = 9;
    if (buffered() < head_bytes) return false;
    size = 0;
    for (std::size_t i = 1; i < head_bytes; ++i) {
      size = (size << 8) | static_cast<std::uint8_t>(head[i]);
    }
  }
  if (!may_begin(flags, size)) return false;
  begin_ += head_bytes;

  Arriving frame;
  frame.flags = flags;
  frame.size = size;
  // Not filled with zeros: a size alone, which anybody may claim, takes no memory.
  frame.bytes = std::make_shared_for_overwrite<char[]>(frame.size);
  frame.filled = std::min(frame.size, buffered());
  std::memcpy(frame.bytes.get(), buffer_.data() + begin_, frame.filled);
  begin_ += frame.filled;
  if (begin_ == end_) begin_ = end_ = 0;
  arriving_ = std::move(frame);
  return true;
}

bool Engine::may_begin(std::uint8_t flags, std::uint64_t size) {
  if ((flags & ~(kMoreFlag | kLongFlag | kCommandFlag)) != 0) {
    fail("sent a frame with unknown flags");
  } else if ((flags & kCommandFlag) != 0 && (flags & kMoreFlag) != 0) {
    fail("sent a command in parts");
  } else if ((flags & kCommandFlag) != 0 && size > kMaxCommandBytes) {
    fail("sent a command of " + std::to_string(size) + " bytes");
  } else if ((flags & kCommandFlag) == 0 && stage_ != Stage::ready) {
    fail("sent a frame before it said who it is");
  } else if (size > settings_.max_frame_bytes) {
    fail("sent a frame of " + std::to_string(size) + " bytes; " +
         std::to_string(settings_.max_frame_bytes) + " is the most");
  }
  return !failed();
}

void Engine::handle_command(std::string_view body) {
  Command command;
  if (!parse_command(body, command)) return fail("sent a malformed command");
  if (stage_ == Stage::handshake) {
    if (command.name == "READY") return handle_ready(command.rest);
    return fail("refused the connection, or sent a command out of turn");
  }
  if (command.name == "PING") {
    Ping ping;
    if (!parse_ping(command.rest, ping)) return fail("sent a malformed ping");
    peer_ttl_ = std::chrono::milliseconds(100) * ping.ttl_ds;
    // Whoever asks and does not read gets no answer.
    if (output_.frames() > kMaxFramesBeforePong) return;
    output_.push_frame(kCommandFlag, SharedBytes(pong_command(ping.context)));
  }
  // A PONG has done its work by coming; commands that we do not know are none for us.
}

void Engine::handle_ready(std::string_view rest) {
  Ready ready;
  if (!parse_ready(rest, ready)) return fail("introduced itself in a malformed way");
  const SocketType wanted =
      settings_.type == SocketType::dealer ? SocketType::router : SocketType::dealer;
  if (ready.socket_type != to_string(wanted)) {
    return fail("is a socket of another type; it should be a " + std::string(to_string(wanted)));
  }
  peer_identity_ = ready.identity;
  stage_ = Stage::ready;
  buffer_.resize(kBufferBytes);
}

void Engine::send(SharedBytes frame, TimePoint now) {
  last_sent_ = now;
  output_.push_frame(0, std::move(frame));
}

void Engine::tick(TimePoint now) {
  if (failed()) return;
  if (stage_ != Stage::ready) {
    if (now - began_ > settings_.handshake_timeout) fail("does not say who it is");
    return;
  }
  if (peer_ttl_ > Duration::zero() && now - last_received_ > peer_ttl_) {
    return fail("has been silent for longer than it wanted to be");
  }
  if (settings_.type != SocketType::dealer) return;
  const Duration silence = now - last_received_;
  if (silence > settings_.heartbeat_timeout) return fail("does not answer");
  if (std::max(silence, now - last_sent_) < settings_.heartbeat_interval) return;
  const auto ttl_ms = std::chrono::ceil<std::chrono::milliseconds>(settings_.heartbeat_timeout);
  output_.push_frame(kCommandFlag,
                     SharedBytes(ping_command(static_cast<std::uint16_t>(ttl_ms.count() / 100))));
  last_sent_ = now;
}

void Engine::fail(std::string why) {
  if (failure_.empty()) failure_ = std::move(why);
  arriving_.reset();
}

}  // namespace tempest::zmtp
