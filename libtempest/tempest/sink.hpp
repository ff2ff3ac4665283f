#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tempest/base/result.hpp"
#include "tempest/task.hpp"

/// Where results and dead letters go. Include this to write a sink of your own: docs/sources.md.
namespace tempest {

/// Writes messages where they outlive the process. One thread calls it, and it may block there. An
/// Error of code `unavailable` means "away; try again": it costs the messages no attempts. Any
/// other fails them; an exception does too.
class Sink {
 public:
  virtual ~Sink() = default;

  /// Called once, before anything else, with the `config` table beside the sink's `type`: of those
  /// from a library. Nothing is to be opened yet.
  virtual Result<void> configure(const Settings& /*config*/) { return {}; }

  /// Says which settings it takes: see Declarations.
  virtual void declare(Declarations& /*about*/) const {}

  /// Called before the first write, and again after an `unavailable`.
  virtual Result<void> open() = 0;

  /// Writes all of them, or says why not. Success means that they are where they should be: the
  /// server has replied, the file's write has returned. After an error some may have been written,
  /// and all will be written again: a duplicate, never a loss. An error of code `fail` says that
  /// one of them can never be written: each is written by itself then, and that one fails for good.
  virtual Result<void> write(std::span<const Message> messages) = 0;

  /// The process is to end at once, whatever is under way: a call that waits for a server returns
  /// with `unavailable`, and so does each that follows. Called from another thread.
  virtual void abandon() {}

  /// What a person should be told that is no error (a Redis that does not keep its data): each is
  /// given once. Asked for after every open().
  virtual std::vector<std::string> take_warnings() { return {}; }
};

}  // namespace tempest
