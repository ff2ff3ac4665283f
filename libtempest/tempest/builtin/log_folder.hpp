#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tempest/builtin/file_identity.hpp"

namespace tempest::builtin {

/// A file that stands in a folder.
struct FoundFile {
  std::string path;
  std::string name;
  FileStatus status;
};

/// Looks for the files of a log: beside its path, beside what a symbolic link there leads to, and
/// in the folders that it is told of.
class LogFolder {
 public:
  explicit LogFolder(std::string path);

  /// Looks into the folder of this file as well, from now on.
  void also_beside(const std::string& path);

  /// Returns all files there are, the oldest written first; symbolic links are none.
  std::vector<FoundFile> list() const;
  /// Returns true if a file is, by its name, a part of the log that was put aside. One that was
  /// compressed is none.
  bool is_put_aside(const FoundFile& file) const;
  /// As above, but compressed.
  bool is_compressed(const FoundFile& file) const;

 private:
  bool is_named_as_put_aside(const std::string& path, std::string_view name) const;

  std::string path_;
  std::string folder_;
  std::string name_;
  std::vector<std::string> folders_;  ///< folder_ is the first.
};

/// Returns where an open file is now, through symbolic links; `otherwise` if that is not known.
std::string real_path_of(int descriptor, const std::string& otherwise);

}  // namespace tempest::builtin
