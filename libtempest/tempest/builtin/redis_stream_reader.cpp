#include "tempest/builtin/redis_stream_reader.hpp"

#include <algorithm>
#include <chrono>
#include <span>
#include <utility>

namespace tempest::builtin {
namespace {

using runtime::RedisReply;
using runtime::RedisValue;

Error malformed() {
  return Error{ErrorCode::protocol, "Redis sent a reply to XREADGROUP of an unknown form"};
}

}  // namespace

template <typename Call>
auto RedisStreamReader::with_command(std::string_view from, std::size_t count, Duration wait,
                                     Call call) {
  // BLOCK 0 would be for ever, and a block near the reply's timeout would look like a dead server.
  const auto block_ms =
      std::chrono::duration_cast<std::chrono::milliseconds>(std::min(wait, options_.longest_block))
          .count();
  const std::string count_text = std::to_string(count);
  const std::string block_text = std::to_string(block_ms);
  arguments_.assign(
      {"XREADGROUP", "GROUP", options_.group, options_.consumer, "COUNT", count_text});
  if (block_ms > 0) arguments_.insert(arguments_.end(), {"BLOCK", block_text});
  if (!options_.acks) arguments_.emplace_back("NOACK");
  arguments_.insert(arguments_.end(), {"STREAMS", options_.key, from});
  return call(std::span<const std::string_view>(arguments_));
}

Result<std::optional<RedisReply>> RedisStreamReader::read(std::string_view from, std::size_t count,
                                                          Duration wait) {
  return checked(
      with_command(from, count, wait, [this](auto words) { return connection_.command(words); }));
}

Result<void> RedisStreamReader::ask_ahead(std::size_t count) {
  return with_command(">", count, Duration::zero(),
                      [this](auto words) { return connection_.defer(words); });
}

Result<std::optional<RedisReply>> RedisStreamReader::take() {
  auto reply = connection_.take_deferred();
  if (!reply) return reply.error();
  if (auto right = connection_.check(reply->value()); !right) return right.error();
  return checked(std::move(reply));
}

Result<std::optional<RedisReply>> RedisStreamReader::checked(Result<RedisReply> reply) const {
  if (!reply) return reply.error();
  const RedisValue value = reply->value();
  if (value.is_nil()) return std::optional<RedisReply>{};
  if (value.size() != 1 || value[0].size() != 2 || value[0][1].kind() != RedisValue::Kind::array) {
    return malformed();
  }
  const RedisValue entries = value[0][1];
  for (std::size_t i = 0; i < entries.size(); ++i) {
    if (entries[i].size() != 2) return malformed();
  }
  return std::optional<RedisReply>(std::move(*reply));
}

}  // namespace tempest::builtin
