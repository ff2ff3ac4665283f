#include "tempest/builtin/sink_task.hpp"

#include <mutex>
#include <set>
#include <string>
#include <utility>

#include "tempest/runtime/logging.hpp"

namespace tempest::builtin {
namespace {

constexpr Duration kUnavailableRetry = std::chrono::milliseconds(500);

/// Returns what the worker is told: `unavailable` costs a message no attempt, anything else does;
/// what `fail`s can never be written.
Error as_task_error(const Error& error) {
  if (error.code == ErrorCode::fail) return {ErrorCode::fail, "sink: " + error.message, {}};
  if (error.code == ErrorCode::unavailable) {
    return {ErrorCode::unavailable, "sink: " + error.message, kUnavailableRetry};
  }
  return {ErrorCode::retry, "sink: " + error.message, Duration::zero()};
}

}  // namespace

void SinkTask::warn() {
  // Each thread has a sink of its own, all of which say the same.
  static std::mutex mutex;
  static std::set<std::string> told;
  for (std::string& warning : sink_->take_warnings()) {
    const std::lock_guard lock(mutex);
    if (told.insert(warning).second) runtime::Log("sink").warning(std::move(warning));
  }
}

Result<void> SinkTask::open(const Settings& /*config*/) {
  auto opened = sink_->open();
  if (!opened && opened.error().code != ErrorCode::unavailable) return opened;
  is_open_ = opened.ok();
  warn();
  return {};
}

Result<void> SinkTask::write(std::span<const Message> messages) {
  if (!is_open_) {
    if (auto opened = sink_->open(); !opened) return opened;
    is_open_ = true;
    warn();
  }
  auto written = sink_->write(messages);
  if (!written && written.error().code == ErrorCode::unavailable) is_open_ = false;
  return written;
}

Result<void> SinkTask::handle(const Message& message, Context& /*context*/) {
  auto written = write({&message, 1});
  if (!written) return as_task_error(written.error());
  return {};
}

std::vector<Result<void>> SinkTask::handle_batch(std::span<const Message> messages,
                                                 std::span<Context* const> /*contexts*/) {
  const auto written = write(messages);
  if (written) return std::vector<Result<void>>(messages.size());
  if (messages.size() == 1 || written.error().code == ErrorCode::unavailable) {
    return std::vector<Result<void>>(messages.size(), as_task_error(written.error()));
  }
  return write_singly(messages);
}

std::vector<Result<void>> SinkTask::write_singly(std::span<const Message> messages) {
  std::vector<Result<void>> outcomes;
  outcomes.reserve(messages.size());
  for (const Message& message : messages) {
    const auto written = write({&message, 1});
    outcomes.push_back(written ? Result<void>() : as_task_error(written.error()));
    if (written || written.error().code != ErrorCode::unavailable) continue;
    // Each of the others would wait for it as well.
    outcomes.resize(messages.size(), as_task_error(written.error()));
    break;
  }
  return outcomes;
}

}  // namespace tempest::builtin
