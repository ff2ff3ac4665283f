#include "tempest/builtin/lines_source.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include "tempest/base/limits.hpp"
#include "tempest/base/quantity.hpp"
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
  if (auto resumed = resume(); !resumed || fd_ >= 0) return resumed;
  return open_file(path_);
}

Result<void> LinesSource::open_file(const std::string& path) {
  // Not blocking, so that a pipe nobody writes to yet does not hold up the whole source.
  const int fd =
      path == "-" ? STDIN_FILENO : ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  struct stat status {};
  if (fd < 0 || ::fstat(fd, &status) != 0) {
    return Error{ErrorCode::io, "cannot read " + shown() + ": " + std::strerror(errno)};
  }
  if (fd_ > STDIN_FILENO) ::close(fd_);
  fd_ = fd;
  file_ = {static_cast<std::uint64_t>(status.st_dev), static_cast<std::uint64_t>(status.st_ino)};
  file_offset_ = 0;
  if (S_ISDIR(status.st_mode)) {
    return Error{ErrorCode::io, "cannot read " + shown() + ": it is a folder"};
  }
  return {};
}

Result<void> LinesSource::resume() {
  auto saved = checkpoint_.load();
  if (!saved) return saved.error();
  if (!*saved) return {};
  const LinePlace place = (*saved)->place;
  if (auto opened = open_file(path_); !opened) return opened;
  if (file_ != place.file) {
    const std::string rotated = find_rotated(place.file);
    if (rotated.empty()) {
      line_ = (*saved)->line - 1;
      warnings_.push_back(shown() + " is another file than at the checkpoint: read from its start");
      return {};
    }
    if (auto opened = open_file(rotated); !opened) return opened;
    in_rotated_file_ = true;
  }
  struct stat status {};
  if (::fstat(fd_, &status) == 0 && static_cast<std::uint64_t>(status.st_size) < place.offset) {
    warnings_.push_back(shown() + " is shorter than at the checkpoint: read from its start");
    return {};
  }
  if (::lseek(fd_, static_cast<off_t>(place.offset), SEEK_SET) < 0) {
    return Error{ErrorCode::configuration,
                 shown() + " has no places to come back to: it must be a file for a checkpoint"};
  }
  file_offset_ = place.offset;
  line_ = (*saved)->line - 1;
  return {};
}

std::string LinesSource::find_rotated(const FileIdentity& file) const {
  namespace fs = std::filesystem;
  const fs::path path(path_);
  const fs::path folder = path.has_parent_path() ? path.parent_path() : fs::path(".");
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    struct stat status {};
    if (::stat(entry->path().c_str(), &status) != 0 || !S_ISREG(status.st_mode)) continue;
    if (file == FileIdentity{static_cast<std::uint64_t>(status.st_dev),
                             static_cast<std::uint64_t>(status.st_ino)}) {
      return entry->path().string();
    }
  }
  return {};
}

Result<bool> LinesSource::go_on() {
  struct stat status {};
  // Between the renaming of the old file and the making of the new there may be none.
  if (::stat(path_.c_str(), &status) != 0) return false;
  const FileIdentity there{static_cast<std::uint64_t>(status.st_dev),
                           static_cast<std::uint64_t>(status.st_ino)};
  if (there != file_) {
    if (auto opened = open_file(path_); !opened) return opened.error();
    in_rotated_file_ = false;
    return true;
  }
  if (static_cast<std::uint64_t>(status.st_size) >= file_offset_) return false;
  if (warnings_.size() < kMaxWarnings) {
    warnings_.push_back(shown() + " has become shorter: read from its start");
  }
  buffer_.clear();
  begin_ = scanned_ = 0;
  file_offset_ = 0;
  if (::lseek(fd_, 0, SEEK_SET) < 0) {
    return Error{ErrorCode::io, "cannot read " + shown() + ": " + std::strerror(errno)};
  }
  return true;
}

Result<void> LinesSource::poll(std::size_t max_messages, Duration wait, SourceBatch& batch) {
  taken_bytes_ = 0;
  const std::size_t first = batch.size();
  while (true) {
    take_lines(max_messages - (batch.size() - first), batch);
    const std::size_t taken = batch.size() - first;
    if (taken >= max_messages || taken_bytes_ >= kPollTargetBytes) return {};
    if (ended_) {
      take_rest(batch);
      batch.ended = true;
      return {};
    }
    auto filled = fill(taken == 0 && batch.lost == 0 ? wait : Duration::zero());
    if (!filled) return filled.error();
    if (*filled == Readable::no) return {};
    if (*filled == Readable::yes) continue;
    if (!options_.follow && !in_rotated_file_) {
      ended_ = true;
      continue;
    }
    const FileIdentity before = file_;
    const std::uint64_t rest_from = file_offset_ - (buffer_.size() - begin_);
    std::string rest = buffer_.substr(begin_);
    auto went_on = go_on();
    if (!went_on) return went_on.error();
    if (!*went_on) return {};
    if (file_ == before || rest.empty()) continue;
    // The old file's last line has no end, and will get none.
    buffer_.clear();
    begin_ = scanned_ = 0;
    if (skipping_) {
      skipping_ = false;
    } else {
      add_line(rest, {before, rest_from}, batch);
    }
  }
}

void LinesSource::take_lines(std::size_t max_messages, SourceBatch& batch) {
  for (std::size_t taken = 0; taken < max_messages && taken_bytes_ < kPollTargetBytes;) {
    const std::size_t end = buffer_.find('\n', scanned_);
    if (end == std::string::npos) {
      scanned_ = buffer_.size();
      if (!skipping_ && scanned_ - begin_ > options_.max_line_bytes) {
        lose_line(batch);
        skipping_ = true;
      }
      if (skipping_) begin_ = scanned_;
      return;
    }
    const std::string_view line(buffer_.data() + begin_, end - begin_);
    const LinePlace line_place = place();
    begin_ = scanned_ = end + 1;
    if (skipping_) {
      skipping_ = false;  // Was counted when it grew too long.
    } else if (line.size() > options_.max_line_bytes) {
      lose_line(batch);
    } else {
      add_line(line, line_place, batch);
      ++taken;
    }
  }
}

void LinesSource::take_rest(SourceBatch& batch) {
  if (begin_ == buffer_.size()) return;
  if (!skipping_) add_line(std::string_view(buffer_).substr(begin_), place(), batch);
  buffer_.clear();
  begin_ = scanned_ = 0;
}

void LinesSource::add_line(std::string_view line, const LinePlace& place, SourceBatch& batch) {
  ++line_;
  checkpoint_.read(line_, place);
  taken_bytes_ += line.size();
  batch.add({.payload = line, .token = {0, line_}});
}

void LinesSource::lose_line(SourceBatch& batch) {
  ++line_;
  ++batch.lost;
  if (warnings_.size() >= kMaxWarnings) return;
  warnings_.push_back("line " + std::to_string(line_) + " of " + shown() + " is longer than " +
                      (options_.max_line_bytes == kMaxPayloadBytes
                           ? "a message may be (16 MiB)"
                           : "max_line, " + format_size_bytes(options_.max_line_bytes)) +
                      ": skipped");
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
  if (count > 0) file_offset_ += static_cast<std::uint64_t>(count);
  if (count > 0) return Readable::yes;
  if (count == 0) return Readable::ended;
  if (reason == EAGAIN || reason == EINTR) return Readable::no;
  return Error{ErrorCode::io, "cannot read " + shown() + ": " + std::strerror(reason)};
}

Result<void> LinesSource::ack(std::span<const SourceToken> tokens) {
  if (!checkpoint_.exists()) return {};
  for (const SourceToken& token : tokens) checkpoint_.acked(token.low);
  return checkpoint_.save(line_ + 1, place());
}

std::vector<std::string> LinesSource::take_warnings() {
  return std::exchange(warnings_, {});
}

std::string LinesSource::describe(const SourceToken& token) const {
  return "line " + std::to_string(token.low);
}

}  // namespace tempest::builtin
