#include "tempest/builtin/redis_stream_reader.hpp"

#include <algorithm>
#include <cassert>
#include <chrono>
#include <utility>

namespace tempest::builtin {
namespace {

using runtime::RedisReply;
using runtime::RedisValue;

Error malformed() {
  return Error{ErrorCode::protocol, "Redis sent a reply to XREADGROUP of an unknown form"};
}

}  // namespace

Result<std::optional<RedisReply>> RedisStreamReader::read(std::string_view from, std::size_t count,
                                                          Duration wait) {
  assert(!is_out_);
  if (auto sent = send(from, count, wait); !sent) return sent.error();
  return next_reply();
}

Result<void> RedisStreamReader::ask_ahead(std::size_t count) {
  assert(!is_out_);
  if (auto sent = send(">", count, Duration::zero()); !sent) return sent;
  auto flushed = connection_.flush();
  is_out_ = flushed.ok();
  return flushed;
}

Result<std::optional<RedisReply>> RedisStreamReader::take() {
  assert(is_out_);
  is_out_ = false;
  return next_reply();
}

Result<void> RedisStreamReader::send(std::string_view from, std::size_t count, Duration wait) {
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
  return connection_.append(arguments_);
}

Result<std::optional<RedisReply>> RedisStreamReader::next_reply() {
  auto reply = connection_.next_reply();
  if (!reply) return reply.error();
  const RedisValue value = reply->value();
  if (auto checked = connection_.check(value); !checked) return checked.error();
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
