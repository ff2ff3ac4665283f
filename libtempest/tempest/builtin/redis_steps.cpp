#include "tempest/builtin/redis_steps.hpp"

namespace tempest::builtin {
namespace {

/// Each command stands behind the number of its words.
constexpr std::string_view kCarryOut = R"(
redis.replicate_commands()
local at = 1
while at <= #ARGV do
  local count = tonumber(ARGV[at])
  redis.call(unpack(ARGV, at + 1, at + count))
  at = at + 1 + count
end
)";

}  // namespace

void RedisSteps::add(std::span<const std::string_view> command) {
  commands_.push_back({std::to_string(command.size()),
                       std::vector<std::string_view>(command.begin(), command.end())});
}

Result<void> RedisSteps::run(runtime::RedisConnection& connection,
                             std::initializer_list<std::string_view> keys) const {
  const std::string key_count = std::to_string(keys.size());
  std::vector<std::string_view> words = {"EVAL", kCarryOut, key_count};
  words.insert(words.end(), keys.begin(), keys.end());
  for (const Command& command : commands_) {
    words.emplace_back(command.count);
    words.insert(words.end(), command.words.begin(), command.words.end());
  }
  auto reply = connection.exchange(words);
  if (!reply) return reply.error();
  const runtime::RedisValue value = reply->value();
  auto checked = connection.check(value);
  if (checked) return checked;
  // Not that the server is away: the steps cannot be done, or not together.
  Error error = checked.error();
  const std::string_view cause = runtime::cause_of_reply(value.text());
  if (cause.starts_with("NOPERM") || cause.starts_with("WRONGTYPE")) {
    error.code = ErrorCode::configuration;
  }
  return error;
}

}  // namespace tempest::builtin
