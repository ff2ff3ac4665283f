#include "tempest/builtin/file_identity.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace tempest::builtin {
namespace {

std::int64_t nanoseconds(const struct statx_timestamp& time) {
  return static_cast<std::int64_t>(time.tv_sec) * 1'000'000'000 + time.tv_nsec;
}

std::optional<FileStatus> status_at(int descriptor, const char* path, int flags) {
  struct statx found {};
  const unsigned wanted = STATX_BASIC_STATS | STATX_BTIME;
  if (::statx(descriptor, path, flags, wanted, &found) != 0) return std::nullopt;
  FileStatus status;
  status.identity.device = ::makedev(found.stx_dev_major, found.stx_dev_minor);
  status.identity.inode = found.stx_ino;
  if ((found.stx_mask & STATX_BTIME) != 0) status.identity.born_ns = nanoseconds(found.stx_btime);
  status.kind = S_ISREG(found.stx_mode)   ? FileStatus::Kind::regular
                : S_ISDIR(found.stx_mode) ? FileStatus::Kind::folder
                                          : FileStatus::Kind::stream;
  status.size = found.stx_size;
  status.modified_ns = nanoseconds(found.stx_mtime);
  status.names = found.stx_nlink;
  return status;
}

}  // namespace

std::optional<FileStatus> status_of(int descriptor) {
  return status_at(descriptor, "", AT_EMPTY_PATH);
}

std::optional<FileStatus> status_of(const std::string& path) {
  return status_at(AT_FDCWD, path.c_str(), 0);
}

std::optional<FileStatus> status_of_entry(const std::string& path) {
  return status_at(AT_FDCWD, path.c_str(), AT_SYMLINK_NOFOLLOW);
}

std::uint64_t content_hash(std::string_view bytes) {
  // Eight bytes at a time: one is made for each line that is read.
  std::uint64_t hash = 0x9e3779b97f4a7c15ULL ^ bytes.size();
  while (!bytes.empty()) {
    std::uint64_t word = 0;
    const std::size_t count = std::min(bytes.size(), sizeof word);
    for (std::size_t i = 0; count < sizeof word && i < count; ++i) {
      word |= std::uint64_t{static_cast<unsigned char>(bytes[i])} << (8 * i);
    }
    if (count == sizeof word) {
      std::memcpy(&word, bytes.data(), sizeof word);
      if constexpr (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__) word = __builtin_bswap64(word);
    }
    hash = (hash ^ word) * 0xff51afd7ed558ccdULL;
    hash ^= hash >> 32;
    bytes.remove_prefix(count);
  }
  return hash;
}

std::string bytes_at(int descriptor, std::uint64_t offset, std::size_t count) {
  std::string bytes(count, '\0');
  std::size_t held = 0;
  while (held < count) {
    const ssize_t more =
        ::pread(descriptor, bytes.data() + held, count - held, static_cast<off_t>(offset + held));
    if (more < 0 && errno == EINTR) continue;
    if (more <= 0) break;
    held += static_cast<std::size_t>(more);
  }
  bytes.resize(held);
  return bytes;
}

std::optional<Fingerprint> fingerprint_at(int descriptor, std::uint64_t offset) {
  const std::size_t head_bytes = std::min<std::uint64_t>(offset, kHeadBytes);
  const std::size_t tail_bytes = std::min<std::uint64_t>(offset, kTailBytes);
  const std::string head = bytes_at(descriptor, 0, head_bytes);
  const std::string tail = bytes_at(descriptor, offset - tail_bytes, tail_bytes);
  if (head.size() != head_bytes || tail.size() != tail_bytes) return std::nullopt;
  return Fingerprint{content_hash(head), content_hash(tail)};
}

void FileDescriptor::reset(int descriptor) {
  if (descriptor_ >= 0) ::close(descriptor_);
  descriptor_ = descriptor;
}

}  // namespace tempest::builtin
