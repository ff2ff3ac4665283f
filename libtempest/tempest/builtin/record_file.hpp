#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "tempest/base/result.hpp"
#include "tempest/builtin/file_identity.hpp"

namespace tempest::builtin {

/// A file, a pipe or standard output to which several threads and processes add lines. A lock is
/// held for each write, so that nobody's lines stand within another's; what could be written in
/// part only is taken back. A file that was put aside (rotated) is left for the new one at its
/// path.
class RecordFile {
 public:
  /// "-" is standard output. Not to be appended to: the first in this process empties the file.
  RecordFile(std::string path, bool append) : path_(std::move(path)), append_(append) {}

  /// Errors: `configuration` (standard output is closed), `io`; `unavailable` for what passes, and
  /// for whatever fails once it has been open.
  Result<void> open();
  bool is_open() const { return file_ >= 0; }

  /// Adds whole lines. Errors: `unavailable`, for all of it is to be written again. If standard
  /// output is gone for good, ends the process as well.
  Result<void> write(std::string_view lines);

 private:
  class Lock;

  bool is_standard_output() const { return path_ == "-"; }
  Result<void> open_path();
  Result<void> open_standard_output();
  bool empty_once();
  bool is_at_path() const;
  Result<void> write_locked(std::string_view lines);
  /// Returns 0 or errno.
  int write_all(std::string_view bytes, std::uint64_t& written) const;
  bool take_back(std::uint64_t size_before, std::int64_t offset_before,
                 std::uint64_t written) const;
  bool ends_within_line() const;
  Error failed(int reason);
  std::string shown() const;

  std::string path_;
  bool append_;
  int file_ = -1;  ///< own_, or standard output.
  FileDescriptor own_;
  FileDescriptor lock_;  ///< An open file of its own, as a lock belongs to one.
  FileDescriptor readable_;
  FileIdentity identity_;
  bool is_regular_ = false;
  bool was_open_ = false;
  bool is_torn_ = false;  ///< The last write ended within a line, and could not be taken back.
};

}  // namespace tempest::builtin
