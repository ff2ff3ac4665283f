#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tempest/base/result.hpp"
#include "tempest/base/settings.hpp"
#include "tempest/base/time.hpp"
#include "tempest/declarations.hpp"
#include "tempest/library.hpp"

/// What a user includes to write tasks. A task library needs this header and nothing to link to.
namespace tempest {

/// What tasks hand to each other. Both views are good only for the call they are given in.
struct Message {
  std::string_view payload;  ///< Opaque bytes.
  std::string_view key;      ///< By which `grouping = "key"` groups; the payload itself if empty.

  Message() = default;
  Message(std::string_view bytes, std::string_view grouped_by = {})  // NOLINT: implicit
      : payload(bytes), key(grouped_by) {}
  Message(const char* bytes) : payload(bytes) {}         // NOLINT: implicit
  Message(const std::string& bytes) : payload(bytes) {}  // NOLINT: implicit
};

/// What handle() returns when it could not do its work.
struct TaskError {
  enum class Kind {
    retry,  ///< Another attempt may help: the topology's policy decides.
    fail,   ///< It will not: the message has failed for good.
  };
  Kind kind = Kind::retry;
  std::string reason;
  /// With retry: not before this has passed, and without using up an attempt. Zero: by the
  /// topology's backoff, as an attempt.
  Duration after{0};

  explicit operator Error() const {
    return Error{kind == Kind::fail ? ErrorCode::fail : ErrorCode::retry, reason, after};
  }
  operator Result<void>() const { return Error(*this); }  // NOLINT: for `return TaskError{...};`
};

/// What a task may ask and do during a call. Valid only for that call and in its thread.
class Context {
 public:
  virtual ~Context() = default;

  /// Hands a message on: along every plain edge of this task (`after = ["task"]`), or, with an
  /// output's name, along the edges of that name alone (`after = ["task:late"]`, or a plain edge
  /// to a task so called). Copies both views. Messages emitted by a call that then returns an
  /// error are dropped.
  virtual void emit(const Message& message, std::string_view output = {}) = 0;

  /// Asks for more time, where the task has a `timeout`: this call is not given up before `time`
  /// from now has passed. A second wish replaces a first that would end earlier. The message's own
  /// timeout stays what it is. Costs nothing where there is no `timeout`.
  virtual void extend(Duration /*time*/) {}

  /// This task's name in the topology.
  virtual std::string_view task() const = 0;
  /// The task whose output this message is, or "source". In gather("all"), of the first message.
  virtual std::string_view origin() const = 0;
  /// 1 at the first attempt.
  virtual std::uint32_t attempt() const = 0;
};

/// One unit of a user's work. There is one instance for each handler thread, and no two threads
/// call an instance at once; with `grouping = "key"` a key stays with one instance. An exception
/// that leaves a call is an error of kind retry with its what().
class Task {
 public:
  virtual ~Task() = default;

  /// Called once before the first message, with the task's `config` table. An error stops the
  /// worker, with the reason.
  virtual Result<void> open(const Settings& /*config*/) { return {}; }

  /// Says which settings it takes and by which names it emits: see Declarations.
  virtual void declare(Declarations& /*about*/) const {}

  /// False skips the message for this task: it counts as done, without outputs.
  virtual bool filter(const Message& /*message*/) { return true; }

  /// Does the work. An Error of code `unavailable` says that something it needs is away: the
  /// message waits, under every policy, and no attempt is used up.
  virtual Result<void> handle(const Message& message, Context& context) = 0;

  /// With `gather = "all"`: everything that reached this task from one source message, in one
  /// call. `origins[i]` is the task (or "source") whose output messages[i] is.
  virtual Result<void> gather(std::span<const Message> messages,
                              std::span<const std::string_view> /*origins*/, Context& context) {
    for (const Message& message : messages) {
      if (!filter(message)) continue;
      if (auto done = handle(message, context); !done) return done;
    }
    return {};
  }

  /// True if this task wants many deliveries in one call: then handle_batch() is called in place
  /// of handle(), with at most max_batch() of them.
  virtual bool batches() const { return false; }
  virtual std::size_t max_batch() const { return 1024; }

  /// Returns one outcome for each message, in order; contexts[i] belongs to messages[i]. If it
  /// throws or returns a wrong number of outcomes, it is called again for each message by itself,
  /// and what fails then has failed.
  virtual std::vector<Result<void>> handle_batch(std::span<const Message> messages,
                                                 std::span<Context* const> contexts) {
    std::vector<Result<void>> outcomes;
    outcomes.reserve(messages.size());
    for (std::size_t i = 0; i < messages.size(); ++i) {
      outcomes.push_back(handle(messages[i], *contexts[i]));
    }
    return outcomes;
  }
};

}  // namespace tempest
