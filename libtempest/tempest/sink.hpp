#pragma once

#include <span>
#include <string_view>

#include "tempest/base/result.hpp"
#include "tempest/task.hpp"

/// Where results and dead letters go.
namespace tempest {

/// Writes messages where they outlive the process. One thread calls it, and it may block there.
class Sink {
 public:
  virtual ~Sink() = default;

  /// Called before the first write, and again after an `unavailable`.
  virtual Result<void> open() = 0;

  /// Writes all of them, or says why not. Success means that they are where they should be: the
  /// server has replied, the file's write has returned. After an error some may have been written,
  /// and all will be written again: a duplicate, never a loss.
  virtual Result<void> write(std::span<const Message> messages) = 0;
};

}  // namespace tempest
