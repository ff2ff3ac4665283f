#include "tempest/builtin/lines_sink.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

#include "tempest/builtin/limits.hpp"

namespace tempest::builtin {

/// A file of this process. One lock around its writes: a pipe takes a large write in parts, and
/// only a file that is opened to append takes it whole.
class LinesSink::File {
 public:
  explicit File(int fd) : fd_(fd) {}
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() {
    if (fd_ != STDOUT_FILENO) ::close(fd_);
  }

  static Result<std::shared_ptr<File>> open(const std::string& path, bool append);

  /// `lines` is whole lines.
  Result<void> write(std::string_view lines, const std::string& path);

 private:
  Result<void> write_all(std::string_view bytes, const std::string& path);

  std::mutex mutex_;
  int fd_;
  bool torn_ = false;  ///< The last write ended within a line.
};

namespace {

std::string shown(const std::string& path) {
  return path == "-" ? std::string("standard output") : "\"" + path + "\"";
}

Error failed(const std::string& path, int reason) {
  const bool passing = reason == ENOSPC || reason == EDQUOT;
  return Error{passing ? ErrorCode::unavailable : ErrorCode::io,
               "cannot write " + shown(path) + ": " + std::strerror(reason)};
}

}  // namespace

Result<std::shared_ptr<LinesSink::File>> LinesSink::File::open(const std::string& path,
                                                               bool append) {
  // By device and inode, since one file has many paths.
  static std::mutex mutex;
  static std::map<std::pair<dev_t, ino_t>, std::weak_ptr<File>> files;
  // Files that were emptied stay open to the end of the process: so they are known, whatever is
  // closed in between, and their inodes are given to no other file.
  static std::vector<std::shared_ptr<File>> emptied;
  const std::lock_guard lock(mutex);

  int fd = STDOUT_FILENO;
  if (path != "-") fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  struct stat status {};
  if (fd < 0 || ::fstat(fd, &status) != 0) return failed(path, errno);
  auto file = std::make_shared<File>(fd);

  std::erase_if(files, [](const auto& entry) { return entry.second.expired(); });
  std::weak_ptr<File>& known = files[{status.st_dev, status.st_ino}];
  if (auto existing = known.lock()) return existing;
  known = file;
  if (!append && S_ISREG(status.st_mode) && path != "-") {
    if (::ftruncate(fd, 0) != 0) return failed(path, errno);
    emptied.push_back(file);
  }
  return file;
}

Result<void> LinesSink::File::write(std::string_view lines, const std::string& path) {
  const std::lock_guard lock(mutex_);
  if (torn_) {
    if (auto ended = write_all("\n", path); !ended) return ended;
    torn_ = false;
  }
  return write_all(lines, path);
}

Result<void> LinesSink::File::write_all(std::string_view bytes, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(fd_, bytes.data(), bytes.size());
    if (count >= 0) {
      const auto written = static_cast<std::size_t>(count);
      if (written > 0) torn_ = bytes[written - 1] != '\n';
      bytes.remove_prefix(written);
    } else if (errno == EAGAIN) {
      // Somebody else made this pipe or terminal non-blocking.
      pollfd writable{fd_, POLLOUT, 0};
      ::poll(&writable, 1, 1'000);
    } else if (errno != EINTR) {
      return failed(path, errno);
    }
  }
  return {};
}

Result<void> LinesSink::open() {
  if (file_ != nullptr) return {};
  auto file = File::open(path_, append_);
  if (!file) return file.error();
  file_ = std::move(*file);
  return {};
}

Result<void> LinesSink::write(std::span<const Message> messages) {
  if (file_ == nullptr) return Error{ErrorCode::unavailable, shown(path_) + " is not open"};
  buffer_.clear();
  for (const Message& message : messages) {
    buffer_ += message.payload;
    buffer_ += '\n';
    if (buffer_.size() < kWriteTargetBytes) continue;
    if (auto written = file_->write(buffer_, path_); !written) return written;
    buffer_.clear();
  }
  return buffer_.empty() ? Result<void>{} : file_->write(buffer_, path_);
}

}  // namespace tempest::builtin
