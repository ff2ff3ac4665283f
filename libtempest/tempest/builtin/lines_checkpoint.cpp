#include "tempest/builtin/lines_checkpoint.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <cstring>

namespace tempest::builtin {
namespace {

constexpr const char* kForm =
    "tempest-lines 1 line %" PRIu64 " offset %" PRIu64 " device %" PRIu64 " inode %" PRIu64 "\n";
constexpr const char* kReadForm =
    "tempest-lines 1 line %" SCNu64 " offset %" SCNu64 " device %" SCNu64 " inode %" SCNu64;

Error cannot(const char* what, const std::string& path) {
  return Error{ErrorCode::io, std::string("cannot ") + what + " the checkpoint \"" + path +
                                  "\": " + std::strerror(errno)};
}

}  // namespace

Result<std::optional<LinesCheckpoint::Saved>> LinesCheckpoint::load() const {
  if (!exists()) return std::optional<Saved>{};
  const int fd = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0 && errno == ENOENT) return std::optional<Saved>{};
  if (fd < 0) return cannot("read", path_);
  std::array<char, 256> text{};
  const ssize_t size = ::read(fd, text.data(), text.size() - 1);
  ::close(fd);
  if (size < 0) return cannot("read", path_);
  Saved saved;
  if (std::sscanf(text.data(), kReadForm, &saved.line, &saved.place.offset,
                  &saved.place.file.device, &saved.place.file.inode) != 4) {
    return Error{
        ErrorCode::configuration,
        "\"" + path_ + "\" is no checkpoint of a lines source; remove it, or name another"};
  }
  return std::optional<Saved>(saved);
}

void LinesCheckpoint::read(std::uint64_t line, const LinePlace& place) {
  if (exists()) unacked_.emplace(line, place);
}

Result<void> LinesCheckpoint::save(std::uint64_t next_line, const LinePlace& next) {
  if (!exists()) return {};
  const auto oldest = unacked_.begin();
  const bool all_acked = oldest == unacked_.end();
  const LinePlace& place = all_acked ? next : oldest->second;
  std::array<char, 256> text{};
  const int size =
      std::snprintf(text.data(), text.size(), kForm, all_acked ? next_line : oldest->first,
                    place.offset, place.file.device, place.file.inode);
  if (saved_text_ == text.data()) return {};
  // Replaced whole, so that a death at any moment leaves the old one or the new.
  const std::string draft = path_ + ".new";
  const int fd = ::open(draft.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0) return cannot("write", draft);
  const bool written = ::write(fd, text.data(), static_cast<std::size_t>(size)) == size;
  const bool closed = ::close(fd) == 0;
  if (!written || !closed) return cannot("write", draft);
  if (std::rename(draft.c_str(), path_.c_str()) != 0) return cannot("replace", path_);
  saved_text_ = text.data();
  return {};
}

}  // namespace tempest::builtin
