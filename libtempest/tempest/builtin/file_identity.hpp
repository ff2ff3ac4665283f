#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tempest::builtin {

/// Which file it is, whatever it is called. An inode alone is given to another file once its own is
/// gone, so the time of birth belongs to it where the file system has one.
struct FileIdentity {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  std::int64_t born_ns = 0;  ///< Zero: not known.

  bool operator==(const FileIdentity& other) const {
    const bool same_birth = born_ns == other.born_ns || born_ns == 0 || other.born_ns == 0;
    return device == other.device && inode == other.inode && same_birth;
  }
};

/// What the file system says of a file.
struct FileStatus {
  enum class Kind { regular, folder, stream };

  FileIdentity identity;
  Kind kind = Kind::regular;  ///< A stream: a pipe, a terminal, a socket, a device.
  std::uint64_t size = 0;
  std::int64_t modified_ns = 0;  ///< Since 1970.
  std::uint64_t names = 0;       ///< Zero: it was removed, and lives as long as it is open.
};

/// Returns nothing, and sets errno, if the file system does not say.
std::optional<FileStatus> status_of(int descriptor);
/// As above, of the file that `path` leads to, through symbolic links.
std::optional<FileStatus> status_of(const std::string& path);
/// As above, of what stands at `path` itself, be it a symbolic link (a stream).
std::optional<FileStatus> status_of_entry(const std::string& path);

/// How many bytes of a file's start, and how many before a place in it, are told from others.
inline constexpr std::size_t kHeadBytes = 1024;
inline constexpr std::size_t kTailBytes = 64;

/// Tells one stretch of bytes from another. The same on every machine.
std::uint64_t content_hash(std::string_view bytes);

/// By what the content before a place in a file is known again: another file, or one that was cut
/// and has grown anew, has other bytes there. Of a place at offset 0 it says nothing.
struct Fingerprint {
  std::uint64_t head_hash = 0;  ///< Of the first min(offset, kHeadBytes) bytes.
  std::uint64_t tail_hash = 0;  ///< Of the min(offset, kTailBytes) bytes before the place.

  bool operator==(const Fingerprint&) const = default;
};

/// Returns the fingerprint of the place at `offset` as the file has it now; nothing if the file is
/// shorter or cannot be read.
std::optional<Fingerprint> fingerprint_at(int descriptor, std::uint64_t offset);

/// Reads up to `count` bytes at `offset`; fewer where the file ends or cannot be read.
std::string bytes_at(int descriptor, std::uint64_t offset, std::size_t count);

/// A descriptor that is closed with its owner.
class FileDescriptor {
 public:
  FileDescriptor() = default;
  explicit FileDescriptor(int descriptor) : descriptor_(descriptor) {}
  FileDescriptor(FileDescriptor&& other) noexcept : descriptor_(other.release()) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept {
    if (this != &other) reset(other.release());
    return *this;
  }
  ~FileDescriptor() { reset(); }

  int get() const { return descriptor_; }
  bool is_open() const { return descriptor_ >= 0; }
  int release() {
    const int descriptor = descriptor_;
    descriptor_ = -1;
    return descriptor;
  }
  void reset(int descriptor = -1);

 private:
  int descriptor_ = -1;
};

}  // namespace tempest::builtin
