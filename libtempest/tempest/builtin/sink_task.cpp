#include "tempest/builtin/sink_task.hpp"

#include <mutex>
#include <set>
#include <string>
#include <utility>

#include "tempest/runtime/logging.hpp"

namespace tempest::builtin {
namespace {

constexpr Duration kUnavailableRetry = std::chrono::milliseconds(500);

Result<void> as_task_error(const Error& error) {
  return TaskError{TaskError::Kind::retry, "sink: " + error.message,
                   error.code == ErrorCode::unavailable ? kUnavailableRetry : Duration::zero()};
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
  auto written = write(messages);
  if (written) return std::vector<Result<void>>(messages.size());
  return std::vector<Result<void>>(messages.size(), as_task_error(written.error()));
}

}  // namespace tempest::builtin
