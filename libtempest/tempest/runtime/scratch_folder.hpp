#pragma once

#include <cstdlib>
#include <filesystem>
#include <string>
#include <system_error>
#include <utility>

namespace tempest::runtime {

/// A folder of our own below TMPDIR (or /tmp), which goes with all that is in it.
class ScratchFolder {
 public:
  /// Its name begins with `prefix`.
  explicit ScratchFolder(const std::string& prefix) {
    std::error_code error;
    std::string pattern =
        (std::filesystem::temp_directory_path(error) / (prefix + "XXXXXX")).string();
    if (!error && ::mkdtemp(pattern.data()) != nullptr) path_ = std::move(pattern);
  }
  ~ScratchFolder() {
    std::error_code error;
    if (exists()) std::filesystem::remove_all(path_, error);
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;

  /// False: it could not be made.
  bool exists() const { return !path_.empty(); }
  const std::string& path() const { return path_; }
  std::string file(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

}  // namespace tempest::runtime
