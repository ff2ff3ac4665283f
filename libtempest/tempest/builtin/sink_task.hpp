#pragma once

#include <memory>
#include <span>
#include <vector>

#include "tempest/sink.hpp"
#include "tempest/task.hpp"

namespace tempest::builtin {

/// Writes each message to a sink. A message is done only when the sink has confirmed it.
class SinkTask : public Task {
 public:
  explicit SinkTask(std::unique_ptr<Sink> sink) : sink_(std::move(sink)) {}

  /// The sink has been configured, so `config` is left alone. A sink that is away now is no error
  /// here: messages wait for it.
  Result<void> open(const Settings& config) override;
  Result<void> handle(const Message& message, Context& context) override;

  bool batches() const override { return true; }
  /// Writes all of them at once; if that fails, each by itself, so that only what the sink does not
  /// take fails. Some may be there twice in the end. An `unavailable` sink costs no attempts.
  std::vector<Result<void>> handle_batch(std::span<const Message> messages,
                                         std::span<Context* const> contexts) override;

 private:
  Result<void> write(std::span<const Message> messages);
  std::vector<Result<void>> write_singly(std::span<const Message> messages);
  /// Says what a person should know of the sink.
  void warn();

  std::unique_ptr<Sink> sink_;
  bool is_open_ = false;
};

}  // namespace tempest::builtin
