#include "tempest/builtin/record_file.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <vector>

#include "tempest/runtime/exit_code.hpp"
#include "tempest/runtime/process_guard.hpp"

namespace tempest::builtin {
namespace {

std::string own_path_of(int descriptor) {
  return "/proc/self/fd/" + std::to_string(descriptor);
}

bool is_full(int reason) {
  return reason == ENOSPC || reason == EDQUOT || reason == EFBIG;
}

/// For what the system has no locks for, such as sockets: at least threads keep apart.
std::mutex& threads_lock() {
  static std::mutex mutex;
  return mutex;
}

}  // namespace

/// Holds the file's lock. Processes that were started by one share its open files, and would share
/// their locks: so the lock is on an open file of its own.
class RecordFile::Lock {
 public:
  explicit Lock(int descriptor) : descriptor_(descriptor) {
    while (descriptor_ >= 0 && ::flock(descriptor_, LOCK_EX) != 0) {
      if (errno != EINTR) descriptor_ = -1;
    }
    if (descriptor_ < 0) threads_ = std::unique_lock(threads_lock());
  }
  ~Lock() {
    if (descriptor_ >= 0) ::flock(descriptor_, LOCK_UN);
  }
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;

 private:
  int descriptor_;
  std::unique_lock<std::mutex> threads_;
};

std::string RecordFile::shown() const {
  return is_standard_output() ? std::string("standard output") : "\"" + path_ + "\"";
}

Error RecordFile::failed(int reason) {
  const std::string text = "cannot write " + shown() + ": " + std::strerror(reason);
  const bool may_pass = is_full(reason) && (is_regular_ || !is_standard_output());
  if (is_standard_output() && !may_pass) runtime::fail_process(runtime::kExitInputOutput, text);
  // No message is the cause of it, so none fails by it: they wait.
  const bool waits = may_pass || was_open_ || reason == ENXIO;
  return Error{waits ? ErrorCode::unavailable : ErrorCode::io, text};
}

// --- Opening -----------------------------------------------------------------------------------

Result<void> RecordFile::open() {
  if (is_open()) return {};
  auto opened = is_standard_output() ? open_standard_output() : open_path();
  if (!opened) return opened;
  was_open_ = true;
  return {};
}

Result<void> RecordFile::open_standard_output() {
  if (runtime::was_closed_at_start(STDOUT_FILENO)) {
    return Error{ErrorCode::configuration,
                 "cannot write to \"-\": this process was started with its standard output closed"};
  }
  const auto status = status_of(STDOUT_FILENO);
  if (!status) return failed(errno);
  file_ = STDOUT_FILENO;
  is_regular_ = status->kind == FileStatus::Kind::regular;
  lock_.reset(::open(own_path_of(file_).c_str(), O_WRONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  return {};
}

Result<void> RecordFile::open_path() {
  // Not blocking: a pipe that nobody reads is waited for outside. (Its reader must be there, as
  // what is written to a pipe without one would be gone with this process.)
  FileDescriptor file(::open(
      path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0666));
  const auto status = file.is_open() ? status_of(file.get()) : std::nullopt;
  if (!status) return failed(errno);
  const int flags = ::fcntl(file.get(), F_GETFL);
  if (flags >= 0) static_cast<void>(::fcntl(file.get(), F_SETFL, flags & ~O_NONBLOCK));
  const std::string own_path = own_path_of(file.get());
  own_ = std::move(file);
  file_ = own_.get();
  identity_ = status->identity;
  is_regular_ = status->kind == FileStatus::Kind::regular;
  lock_.reset(::open(own_path.c_str(), O_WRONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  readable_.reset(is_regular_ ? ::open(own_path.c_str(), O_RDONLY | O_CLOEXEC) : -1);
  if (is_regular_ && !append_ && !was_open_ && !empty_once()) return failed(errno);
  return {};
}

bool RecordFile::empty_once() {
  static std::mutex mutex;
  static std::vector<FileIdentity> emptied;
  const std::lock_guard guard(mutex);
  if (std::find(emptied.begin(), emptied.end(), identity_) != emptied.end()) return true;
  if (::ftruncate(file_, 0) != 0) return false;
  emptied.push_back(identity_);
  return true;
}

// --- Writing -----------------------------------------------------------------------------------

bool RecordFile::is_at_path() const {
  const auto there = status_of(path_);
  return there && there->identity == identity_;
}

Result<void> RecordFile::write(std::string_view lines) {
  // Somebody may put the file aside between the opening and the lock.
  for (int tries = 0; tries < 8; ++tries) {
    if (auto opened = open(); !opened) return opened;
    {
      const Lock lock(lock_.get());
      if (is_standard_output() || !is_regular_ || is_at_path()) return write_locked(lines);
    }
    own_.reset();
    file_ = -1;
  }
  return Error{ErrorCode::unavailable,
               "cannot write " + shown() + ": it is put aside all the time"};
}

bool RecordFile::ends_within_line() const {
  if (is_torn_) return true;
  if (!readable_.is_open()) return false;
  const auto status = status_of(readable_.get());
  if (!status || status->size == 0) return false;
  return bytes_at(readable_.get(), status->size - 1, 1) != "\n";
}

Result<void> RecordFile::write_locked(std::string_view lines) {
  std::uint64_t written = 0;
  if (ends_within_line()) {
    // What a crash, a full disk or a person has left is a line of its own.
    if (const int reason = write_all("\n", written); reason != 0) return failed(reason);
    is_torn_ = false;
  }
  const auto before = is_regular_ ? status_of(file_) : std::nullopt;
  const std::int64_t offset = is_regular_ ? ::lseek(file_, 0, SEEK_CUR) : -1;
  written = 0;
  const int reason = write_all(lines, written);
  if (reason == 0) return {};
  const bool is_taken_back = written == 0 || (before && take_back(before->size, offset, written));
  is_torn_ = !is_taken_back && lines[written - 1] != '\n';
  // The next try begins with a look for what stands there then.
  if (!is_standard_output() && !is_torn_) {
    own_.reset();
    file_ = -1;
  }
  return failed(reason);
}

bool RecordFile::take_back(std::uint64_t size_before, std::int64_t offset_before,
                           std::uint64_t written) const {
  const int flags = ::fcntl(file_, F_GETFL);
  const bool appends = flags >= 0 && (flags & O_APPEND) != 0;
  if (!appends && offset_before < 0) return false;
  const std::uint64_t begin = appends ? size_before : static_cast<std::uint64_t>(offset_before);
  const auto now = status_of(file_);
  // Somebody without a lock has written as well: what is his stays.
  if (!now || now->size != std::max(size_before, begin + written)) return false;
  if (begin < size_before) return false;  // Over what stood there: nothing can be taken back.
  if (::ftruncate(file_, static_cast<off_t>(begin)) != 0) return false;
  return appends || ::lseek(file_, static_cast<off_t>(begin), SEEK_SET) >= 0;
}

int RecordFile::write_all(std::string_view bytes, std::uint64_t& written) const {
  while (!bytes.empty()) {
    const ssize_t count = ::write(file_, bytes.data(), bytes.size());
    if (count >= 0) {
      written += static_cast<std::uint64_t>(count);
      bytes.remove_prefix(static_cast<std::size_t>(count));
    } else if (errno == EAGAIN) {
      // Somebody else made this pipe or terminal non-blocking.
      pollfd writable{file_, POLLOUT, 0};
      ::poll(&writable, 1, 1'000);
    } else if (errno != EINTR) {
      return errno;
    }
  }
  return 0;
}

}  // namespace tempest::builtin
