#pragma once

#include <sys/types.h>

#include <string>

#include "tempest/base/result.hpp"

namespace tempest::runtime {

/// A socket that listens at a path of the file system ("ipc://PATH"), or at a name that has no file
/// ("ipc://@NAME"). Takes the place of nothing but the socket of a node that was killed, and takes
/// nothing away but its own file.
class UnixListener {
 public:
  /// `unavailable`, with what to do: a file stands there that is no socket, or somebody answers.
  static Result<UnixListener> open(const std::string& path);

  UnixListener(UnixListener&& other) noexcept;
  UnixListener& operator=(UnixListener&& other) noexcept;
  /// Closes it, and removes the file if that is still the one that open() made.
  ~UnixListener();

  /// Does not block, and is closed at exec.
  int descriptor() const { return descriptor_; }

 private:
  UnixListener() = default;

  Result<void> bind(const std::string& path);

  int descriptor_ = -1;
  std::string path_;  ///< Of the file; empty: there is none.
  dev_t device_ = 0;
  ino_t inode_ = 0;
};

}  // namespace tempest::runtime
