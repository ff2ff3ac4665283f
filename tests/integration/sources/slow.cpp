// Tasks that hang or take long for some messages, one by one or in batches.

#include <condition_variable>
#include <cstddef>
#include <mutex>

#include "tempest/task.hpp"

namespace slow {

using tempest::Context;
using tempest::Message;
using tempest::Result;

/// Hands messages on. Hangs for ever at "hang", and takes `late` for "late". With `batch` it takes
/// as many messages in one call.
class Slow : public tempest::Task {
 public:
  Result<void> open(const tempest::Settings& config) override {
    late_ = config.duration("late");
    batch_ = static_cast<std::size_t>(config.integer("batch", 0));
    return {};
  }

  Result<void> handle(const Message& message, Context& context) override {
    // Nobody opens it: what waits here hangs, or is late.
    std::unique_lock lock(gate_);
    if (message.payload == "hang") opened_.wait(lock, [] { return false; });
    if (message.payload == "late") opened_.wait_for(lock, late_, [] { return false; });
    context.emit(message);
    return {};
  }

  bool batches() const override { return batch_ > 0; }
  std::size_t max_batch() const override { return batch_; }

 private:
  std::mutex gate_;
  std::condition_variable opened_;
  tempest::Duration late_{};
  std::size_t batch_ = 0;
};

}  // namespace slow

using slow::Slow;
TEMPEST_TASKS(slow, Slow)
