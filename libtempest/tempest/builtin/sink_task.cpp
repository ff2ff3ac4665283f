#include "tempest/builtin/sink_task.hpp"

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
  runtime::Log log("sink");
  for (std::string& warning : sink_->take_warnings()) log.warning(std::move(warning));
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
