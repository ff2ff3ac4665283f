#include "tempest/builtin/lines_checkpoint.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

namespace tempest::builtin {
namespace {

/// Far more than a checkpoint ever has.
constexpr std::size_t kMaxBytes = 4UL << 20;

std::string folder_of(const std::string& path) {
  const std::string folder = std::filesystem::path(path).parent_path().string();
  return folder.empty() ? "." : folder;
}

int open_file(const std::string& path, int flags, int mode = 0) {
  return ::open(path.c_str(), flags | O_CLOEXEC | O_NOFOLLOW, mode);
}

bool write_all(int descriptor, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(descriptor, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
  return true;
}

ErrorCode code_of(int reason) {
  switch (reason) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
    case EMFILE:
    case ENFILE:
    case ENOMEM:
      return ErrorCode::unavailable;
    case ENOENT:
    case ENOTDIR:
    case EISDIR:
    case ELOOP:
    case ENAMETOOLONG:
      return ErrorCode::configuration;
    default:
      return ErrorCode::io;
  }
}

}  // namespace

Error LinesCheckpoint::failed(const char* what, const std::string& path, int reason) const {
  std::string text = std::string("cannot ") + what + " the checkpoint \"" + path_ + "\": ";
  if (reason == ENOENT) {
    text += "there is no folder \"" + folder_of(path) + "\"; make it, or name another checkpoint";
  } else if (reason == ELOOP) {
    text += "\"" + path + "\" is a symbolic link; name the file itself";
  } else if (reason == EACCES || reason == EROFS || reason == EPERM) {
    text += std::string(std::strerror(reason)) + ": this process must be able to write in \"" +
            folder_of(path) + "\"";
  } else {
    text += std::string(std::strerror(reason)) + " (\"" + path + "\")";
  }
  return Error{code_of(reason), std::move(text)};
}

Result<void> LinesCheckpoint::lock() {
  if (lock_.is_open()) return {};
  const std::string path = path_ + ".lock";
  FileDescriptor lock(open_file(path, O_RDWR | O_CREAT, 0644));
  if (!lock.is_open()) return failed("write", path, errno);
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    // Some file systems have no locks.
    if (errno != EWOULDBLOCK) return {};
    const std::string owner = bytes_at(lock.get(), 0, 32);
    return Error{ErrorCode::unavailable, "the checkpoint \"" + path_ +
                                             "\" is in use by another process (" + owner +
                                             "): waiting until that has ended"};
  }
  const std::string owner = std::to_string(::getpid());
  // Only for people: whoever holds the lock is known by the lock.
  if (::ftruncate(lock.get(), 0) == 0) static_cast<void>(write_all(lock.get(), owner));
  lock_ = std::move(lock);
  return {};
}

Result<std::optional<std::string>> LinesCheckpoint::read(const std::string& path) const {
  // Not blocking: a pipe that stands there by mistake has no writer.
  const FileDescriptor file(open_file(path, O_RDONLY | O_NONBLOCK));
  if (!file.is_open() && errno == ENOENT) return std::optional<std::string>();
  if (!file.is_open()) return failed("read", path, errno);
  const auto status = status_of(file.get());
  if (!status || status->kind != FileStatus::Kind::regular) {
    return Error{ErrorCode::configuration, "\"" + path +
                                               "\" is no file, so it cannot hold the "
                                               "place of a lines source; name another checkpoint"};
  }
  return std::optional<std::string>(bytes_at(file.get(), 0, kMaxBytes));
}

Result<std::optional<SavedLines>> LinesCheckpoint::load(std::vector<std::string>& warnings) {
  auto text = read(path_);
  if (!text) return text.error();
  if (!*text) return std::optional<SavedLines>();
  if (auto saved = parse_checkpoint(**text)) return saved;
  if (!looks_torn(**text)) {
    return Error{
        ErrorCode::configuration,
        "\"" + path_ + "\" is no checkpoint of a lines source; remove it, or name another"};
  }
  const std::string what = std::string("the checkpoint \"") + path_ + "\" is " +
                           ((*text)->empty() ? "empty" : "torn") + ", as after a power cut";
  auto previous = read(previous_path());
  if (previous && *previous) {
    if (auto saved = parse_checkpoint(**previous)) {
      is_torn_ = true;
      warnings.push_back(what + ": going on at the one before it, \"" + previous_path() +
                         "\"; some lines will be read again");
      return saved;
    }
  }
  return Error{ErrorCode::configuration,
               what + ", and there is none before it (\"" + previous_path() +
                   "\"): remove it to read from the start again, or put a copy of it in its place"};
}

Result<void> LinesCheckpoint::write_draft(const std::string& draft, const std::string& text) const {
  ::unlink(draft.c_str());  // What a death has left.
  const FileDescriptor file(open_file(draft, O_WRONLY | O_CREAT | O_EXCL, 0644));
  if (!file.is_open()) return failed("write", draft, errno);
  if (!write_all(file.get(), text) || ::fsync(file.get()) != 0)
    return failed("write", draft, errno);
  return {};
}

Result<void> LinesCheckpoint::save(const SavedLines& saved) {
  std::string text = checkpoint_text(saved);
  if (saved_text_ == text) return {};
  const std::string draft = path_ + ".new";
  if (auto written = write_draft(draft, text); !written) return written;
  // A death at any moment leaves the old one or the new; a torn disk the one before as well.
  if (!is_torn_) {
    if (auto kept = keep_previous(); !kept) return kept;
  }
  if (std::rename(draft.c_str(), path_.c_str()) != 0) return failed("replace", path_, errno);
  const FileDescriptor folder(::open(folder_of(path_).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  // Some file systems cannot sync a folder, and need not be asked to.
  if (folder.is_open() && ::fsync(folder.get()) != 0 && errno != EINVAL) {
    return failed("write", path_, errno);
  }
  is_torn_ = false;
  saved_text_ = std::move(text);
  return {};
}

Result<void> LinesCheckpoint::keep_previous() const {
  const std::string previous = previous_path();
  ::unlink(previous.c_str());
  if (::link(path_.c_str(), previous.c_str()) == 0 || errno == ENOENT) return {};
  // A file system without second names.
  return saved_text_.empty() ? Result<void>() : write_draft(previous, saved_text_);
}

}  // namespace tempest::builtin
