#include "tempest/builtin/redis_list_sink.hpp"

#include <vector>

#include "tempest/builtin/limits.hpp"
#include "tempest/builtin/redis_server_features.hpp"

namespace tempest::builtin {
namespace {

constexpr std::size_t kMaxElementsPerCommand = 1'000;

}  // namespace

Result<void> RedisListSink::open() {
  if (auto connected = connection_.connect(); !connected) return connected;
  if (server_known_) return {};
  auto durability = durability_warning(connection_, kSinkLoss);
  if (!durability) return durability.error();
  server_known_ = true;
  if (!durability->empty()) warnings_.push_back(std::move(*durability));
  return {};
}

void RedisListSink::add_writes(std::span<const Message> messages, RedisSteps& steps) const {
  for (const Message& message : messages) steps.add({"RPUSH", options_.key, message.payload});
  if (options_.max_length > 0) steps.add({"LTRIM", options_.key, kept_, "-1"});
}

Result<void> RedisListSink::write(std::span<const Message> messages) {
  while (!messages.empty()) {
    std::size_t count = 0;
    for (std::size_t bytes = 0;
         count < messages.size() && count < kMaxElementsPerCommand && bytes < kWriteTargetBytes;
         ++count) {
      bytes += messages[count].payload.size();
    }
    if (auto written = write_part(messages.first(count)); !written) return written;
    messages = messages.subspan(count);
  }
  return {};
}

Result<void> RedisListSink::write_part(std::span<const Message> messages) {
  std::vector<std::string_view> arguments = {"RPUSH", options_.key};
  for (const Message& message : messages) arguments.push_back(message.payload);
  auto pushed = connection_.command(arguments);
  if (!pushed) return pushed.error();
  const auto length = static_cast<std::uint64_t>(pushed->value().integer());
  if (options_.max_length == 0 || length <= options_.max_length) return {};
  auto trimmed = connection_.command({"LTRIM", options_.key, kept_, "-1"});
  if (!trimmed) return trimmed.error();
  return {};
}

}  // namespace tempest::builtin
