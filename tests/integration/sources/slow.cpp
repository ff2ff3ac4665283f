// Tasks that hang or take long for some messages, one by one or in batches.

#include <fstream>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

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
    if (message.payload == "hang") {
      while (true) std::this_thread::sleep_for(std::chrono::hours(1));
    }
    if (message.payload == "late") std::this_thread::sleep_for(late_);
    context.emit(message);
    return {};
  }

  bool batches() const override { return batch_ > 0; }
  std::size_t max_batch() const override { return batch_; }

 private:
  tempest::Duration late_{};
  std::size_t batch_ = 0;
};

}  // namespace slow

using slow::Slow;
TEMPEST_TASKS(slow, Slow)
