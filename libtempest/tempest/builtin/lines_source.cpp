#include "tempest/builtin/lines_source.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "tempest/base/limits.hpp"
#include "tempest/builtin/limits.hpp"

namespace tempest::builtin {
namespace {

constexpr std::size_t kReadBytes = 256UL << 10;

}  // namespace

LinesSource::~LinesSource() {
  if (fd_ > STDIN_FILENO) ::close(fd_);
}

std::string LinesSource::shown() const {
  return path_ == "-" ? std::string("standard input") : "\"" + path_ + "\"";
}

Result<void> LinesSource::open() {
  if (fd_ >= 0) return {};
  // Not blocking, so that a pipe nobody writes to yet does not hold up the whole source.
  fd_ = path_ == "-" ? STDIN_FILENO : ::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  struct stat status {};
  if (fd_ < 0 || ::fstat(fd_, &status) != 0) {
    return Error{ErrorCode::io, "cannot read " + shown() + ": " + std::strerror(errno)};
  }
  if (S_ISDIR(status.st_mode)) {
    return Error{ErrorCode::io, "cannot read " + shown() + ": it is a folder"};
  }
  return {};
}

Result<void> LinesSource::poll(std::size_t max_messages, Duration wait, SourceBatch& batch) {
  taken_bytes_ = 0;
  const std::size_t first = batch.messages.size();
  while (true) {
    take_lines(max_messages - (batch.messages.size() - first), batch);
    const std::size_t taken = batch.messages.size() - first;
    if (taken >= max_messages || taken_bytes_ >= kPollTargetBytes) return {};
    if (ended_) {
      take_rest(batch);
      batch.ended = true;
      return {};
    }
    auto filled = fill(taken == 0 && batch.lost == 0 ? wait : Duration::zero());
    if (!filled) return filled.error();
    if (*filled == Readable::no) return {};
    ended_ = *filled == Readable::ended;
  }
}

void LinesSource::take_lines(std::size_t max_messages, SourceBatch& batch) {
  for (std::size_t taken = 0; taken < max_messages && taken_bytes_ < kPollTargetBytes;) {
    const std::size_t end = buffer_.find('\n', scanned_);
    if (end == std::string::npos) {
      scanned_ = buffer_.size();
      if (!skipping_ && scanned_ - begin_ > kMaxPayloadBytes) {
        lose_line(batch);
        skipping_ = true;
      }
      if (skipping_) begin_ = scanned_;
      return;
    }
    const std::string_view line(buffer_.data() + begin_, end - begin_);
    begin_ = scanned_ = end + 1;
    if (skipping_) {
      skipping_ = false;  // Was counted when it grew too long.
    } else if (line.size() > kMaxPayloadBytes) {
      lose_line(batch);
    } else {
      add_line(line, batch);
      ++taken;
    }
  }
}

void LinesSource::take_rest(SourceBatch& batch) {
  if (begin_ == buffer_.size()) return;
  add_line(std::string_view(buffer_).substr(begin_), batch);
  buffer_.clear();
  begin_ = scanned_ = 0;
}

void LinesSource::add_line(std::string_view line, SourceBatch& batch) {
  ++line_;
  taken_bytes_ += line.size();
  batch.messages.push_back({std::string(line), {}, {0, line_}});
}

void LinesSource::lose_line(SourceBatch& batch) {
  ++line_;
  ++batch.lost;
  if (warnings_.size() >= kMaxWarnings) return;
  warnings_.push_back("line " + std::to_string(line_) + " of " + shown() +
                      " is longer than a message may be (16 MiB): skipped");
}

Result<LinesSource::Readable> LinesSource::fill(Duration wait) {
  pollfd waiting{fd_, POLLIN, 0};
  const auto wait_ms = std::chrono::ceil<std::chrono::milliseconds>(wait).count();
  const int ready = ::poll(&waiting, 1, static_cast<int>(std::min<std::int64_t>(wait_ms, 60'000)));
  if (ready == 0 || (ready < 0 && errno == EINTR)) return Readable::no;

  // Moving what is left to the front costs something only where a line is longer than a read.
  buffer_.erase(0, begin_);
  scanned_ -= begin_;
  begin_ = 0;
  const std::size_t held = buffer_.size();
  buffer_.resize(held + kReadBytes);
  const ssize_t count = ready < 0 ? -1 : ::read(fd_, buffer_.data() + held, kReadBytes);
  const int reason = errno;
  buffer_.resize(held + static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
  if (count > 0) return Readable::yes;
  if (count == 0) return Readable::ended;
  if (reason == EAGAIN || reason == EINTR) return Readable::no;
  return Error{ErrorCode::io, "cannot read " + shown() + ": " + std::strerror(reason)};
}

Result<void> LinesSource::ack(std::span<const SourceToken> /*tokens*/) {
  return {};
}

std::vector<std::string> LinesSource::take_warnings() {
  return std::exchange(warnings_, {});
}

std::string LinesSource::describe(const SourceToken& token) const {
  return "line " + std::to_string(token.low);
}

}  // namespace tempest::builtin
