#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace tempest::bench {

/// The way of a message through all machines, in one thread: source, coordinator and worker as they
/// are, with their links and codecs, and vectors in place of sockets. What is left is what Tempest
/// itself does, and the same each time.
///
/// Each machine's steps are in a function of its own that is never inlined (step_source and so on
/// in hot_path.cpp), so that a profile tells them apart.
class HotPath {
 public:
  struct Shape {
    std::size_t size_bytes = 100;
    std::size_t depth = 1;  ///< Tasks in a row; the last one drops.
    bool fused = false;     ///< The worker runs them in one go.
  };

  explicit HotPath(const Shape& shape);
  ~HotPath();
  HotPath(const HotPath&) = delete;
  HotPath& operator=(const HotPath&) = delete;

  /// Until so many more have been acked.
  void run(std::uint64_t messages);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tempest::bench
