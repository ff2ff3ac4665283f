#include "tempest/builtin/redis_list_sink.hpp"

#include <vector>

#include "tempest/builtin/limits.hpp"

namespace tempest::builtin {
namespace {

constexpr std::size_t kMaxElementsPerCommand = 1'000;

}  // namespace

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
  auto trimmed =
      connection_.command({"LTRIM", options_.key, "-" + std::to_string(options_.max_length), "-1"});
  if (!trimmed) return trimmed.error();
  return {};
}

}  // namespace tempest::builtin
