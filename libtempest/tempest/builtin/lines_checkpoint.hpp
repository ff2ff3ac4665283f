#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tempest/base/result.hpp"
#include "tempest/builtin/file_identity.hpp"

namespace tempest::builtin {

/// One file of a log as a checkpoint knows it.
struct SavedFile {
  std::string path;
  FileIdentity identity = {};
  std::uint64_t offset = 0;  ///< Where reading goes on; what stands before it is acked.
  bool skipping = false;     ///< `offset` is within a line whose rest is to be passed over.
  bool finished = false;     ///< It was read to its end, and another has followed.
  std::optional<Fingerprint> content =
      {};                         ///< Of `offset`; nothing: not known (an older Tempest's).
  std::uint64_t start_bytes = 0;  ///< How many of its first bytes were seen, and their hash:
  std::uint64_t start_hash = 0;   ///< also of a file of which nothing was read yet.
  std::uint64_t size = 0;         ///< When it was seen last.
  std::int64_t modified_ns = 0;   ///< Likewise.
  std::uint64_t unacked = 0;      ///< Lines after `offset` that were given out.

  bool operator==(const SavedFile&) const = default;
};

/// All that a checkpoint says.
struct SavedLines {
  std::string topology;          ///< Whose it is; empty: an older Tempest's did not say.
  std::string path;              ///< The source's.
  std::uint64_t line = 1;        ///< The number of the next line.
  std::int64_t horizon_ns = 0;   ///< Rotated files that were not written since are none of ours.
  std::vector<SavedFile> files;  ///< In the order of reading.

  bool operator==(const SavedLines&) const = default;
};

/// Writes it as text, and reads it. Nothing: the text is torn, or something else (see
/// looks_torn()).
std::string checkpoint_text(const SavedLines& saved);
std::optional<SavedLines> parse_checkpoint(std::string_view text);
/// Returns true if this is what a power cut may have left of a checkpoint.
bool looks_torn(std::string_view text);

/// A small file that is replaced whole, and is on the disk when that is done. The one before it is
/// kept beside it (".previous"). A lock (".lock") keeps a second process from it.
class LinesCheckpoint {
 public:
  /// Empty: there is none, and nothing may be called but exists().
  explicit LinesCheckpoint(std::string path) : path_(std::move(path)) {}

  bool exists() const { return !path_.empty(); }
  const std::string& path() const { return path_; }
  std::string previous_path() const { return path_ + ".previous"; }

  /// Takes the lock. Errors: `unavailable` (another process has it), `configuration` or `io` (the
  /// folder cannot be written to). Again: does nothing.
  Result<void> lock();
  /// Returns what was saved last; nothing if there is none yet. A torn one is replaced by the one
  /// before it, and `warnings` tells. Errors: `io`, `configuration` (something else stands there).
  Result<std::optional<SavedLines>> load(std::vector<std::string>& warnings);
  /// Returns when it is on the disk. Errors: `unavailable` (the disk is full), `configuration` or
  /// `io`.
  Result<void> save(const SavedLines& saved);

 private:
  Result<std::optional<std::string>> read(const std::string& path) const;
  Result<void> write_draft(const std::string& draft, const std::string& text) const;
  Result<void> keep_previous() const;
  Error failed(const char* what, const std::string& path, int reason) const;

  std::string path_;
  FileDescriptor lock_;
  std::string saved_text_;
  bool is_torn_ = false;  ///< What stands at path_; the one before it must stay.
};

}  // namespace tempest::builtin
