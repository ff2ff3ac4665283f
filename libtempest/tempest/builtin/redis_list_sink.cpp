#include "tempest/builtin/redis_list_sink.hpp"

#include <vector>

namespace tempest::builtin {

void RedisListSink::add_writes(std::span<const Message> messages, RedisSteps& steps) const {
  for (const Message& message : messages) steps.add({"RPUSH", options_.key, message.payload});
  if (options_.max_length > 0) steps.add({"LTRIM", options_.key, kept_, "-1"});
}

Result<void> RedisListSink::write_part(std::span<const Message> messages) {
  std::vector<std::string_view> arguments = {"RPUSH", options_.key};
  for (const Message& message : messages) arguments.push_back(message.payload);
  auto pushed = connection().command(arguments);
  if (!pushed) return pushed.error();
  const auto length = static_cast<std::uint64_t>(pushed->value().integer());
  if (options_.max_length == 0 || length <= options_.max_length) return {};
  auto trimmed = connection().command({"LTRIM", options_.key, kept_, "-1"});
  if (!trimmed) return trimmed.error();
  return {};
}

}  // namespace tempest::builtin
