#include "tempest/builtin/redis_list_source.hpp"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <utility>

#include "tempest/base/limits.hpp"
#include "tempest/builtin/joint_ack.hpp"
#include "tempest/builtin/limits.hpp"
#include "tempest/builtin/redis_server_features.hpp"

namespace tempest::builtin {
namespace {

using runtime::RedisReply;
using runtime::RedisValue;

// In all of them KEYS[1] is the list, and ARGV[1] the reader's name.

/// The time in ms, of the server: readers' clocks may differ.
constexpr std::string_view kNow = R"(
redis.replicate_commands()
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
)";

/// Up to ARGV[2] messages: those whose time has come, then new ones. Rows of number, payload and
/// count of times given out. With ARGV[3] = 0 they are forgotten at once.
constexpr std::string_view kTake = R"(
local key, reader, count, keeps = KEYS[1], ARGV[1], tonumber(ARGV[2]), ARGV[3] ~= '0'
local rows = {}
local function give(id, payload)
  local given = 1
  if keeps then
    given = redis.call('HINCRBY', key .. ':attempts', id, 1)
    redis.call('ZADD', key .. ':processing:' .. reader, id, id)
  else
    redis.call('HDEL', key .. ':payloads', id)
    redis.call('HDEL', key .. ':attempts', id)
  end
  rows[#rows + 1] = {id, payload, given}
end
for _, id in ipairs(redis.call('ZRANGEBYSCORE', key .. ':delayed', '-inf', now, 'LIMIT', 0, count)) do
  redis.call('ZREM', key .. ':delayed', id)
  local payload = redis.call('HGET', key .. ':payloads', id)
  if payload then give(id, payload) end
end
while #rows < count do
  local payload = redis.call('LPOP', key)
  if not payload then break end
  local id = string.format('%.0f', redis.call('INCR', key .. ':ids'))
  if keeps then redis.call('HSET', key .. ':payloads', id, payload) end
  give(id, payload)
end
return rows
)";

/// Up to ARGV[2] of the reader's own messages with numbers above ARGV[3]; with ARGV[4] = 1 they
/// count as given out once more. A row without a payload was acked elsewhere.
constexpr std::string_view kTakeOwn = R"(
local key, own = KEYS[1], KEYS[1] .. ':processing:' .. ARGV[1]
local rows = {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', own, '(' .. ARGV[3], '+inf', 'LIMIT', 0, ARGV[2])) do
  local payload = redis.call('HGET', key .. ':payloads', id)
  local given = 0
  if not payload then
    redis.call('ZREM', own, id)
  elseif ARGV[4] == '1' then
    given = redis.call('HINCRBY', key .. ':attempts', id, 1)
  else
    given = tonumber(redis.call('HGET', key .. ':attempts', id) or 1)
  end
  rows[#rows + 1] = {id, payload or '', given}
end
return rows
)";

/// The messages ARGV[3...] of this reader are given again after ARGV[2] ms.
constexpr std::string_view kLeave = R"(
for i = 3, #ARGV do
  if redis.call('ZREM', KEYS[1] .. ':processing:' .. ARGV[1], ARGV[i]) == 1 then
    redis.call('ZADD', KEYS[1] .. ':delayed', now + ARGV[2], ARGV[i])
  end
end
)";

/// This reader lives for another ARGV[2] ms. What those have whose lease is over is given again, to
/// whoever asks; a reader is forgotten once it has nothing.
constexpr std::string_view kTend = R"(
local key = KEYS[1]
redis.call('SADD', key .. ':readers', ARGV[1])
redis.call('SET', key .. ':lease:' .. ARGV[1], now, 'PX', ARGV[2])
local removed = 0
local readers = redis.call('SMEMBERS', key .. ':readers')
table.sort(readers)
for _, reader in ipairs(readers) do
  if redis.call('EXISTS', key .. ':lease:' .. reader) == 0 then
    local held = key .. ':processing:' .. reader
    for _, id in ipairs(redis.call('ZRANGE', held, 0, 9999)) do
      redis.call('ZADD', key .. ':delayed', now, id)
    end
    redis.call('ZREMRANGEBYRANK', held, 0, 9999)
    if redis.call('EXISTS', held) == 0 then
      redis.call('SREM', key .. ':readers', reader)
      removed = removed + 1
    end
  end
end
return removed
)";

/// The messages ARGV[2...] are done, whoever has them now.
constexpr std::string_view kForget = R"(
local key = KEYS[1]
for i = 2, #ARGV do
  redis.call('ZREM', key .. ':processing:' .. ARGV[1], ARGV[i])
  redis.call('ZREM', key .. ':delayed', ARGV[i])
  redis.call('HDEL', key .. ':payloads', ARGV[i])
  redis.call('HDEL', key .. ':attempts', ARGV[i])
end
)";

constexpr std::size_t kTokensPerScript = 1'000;

Error malformed() {
  return Error{ErrorCode::protocol, "Redis sent a reply about a list of an unknown form"};
}

std::string ms_text(Duration duration) {
  return std::to_string(std::chrono::ceil<std::chrono::milliseconds>(duration).count());
}

std::vector<std::string> ids_of(std::span<const SourceToken> tokens,
                                std::vector<std::string> first) {
  for (const SourceToken& token : tokens) first.push_back(std::to_string(token.low));
  return first;
}

}  // namespace

RedisListSource::RedisListSource(Options options)
    : options_(std::move(options)), connection_(options_.address, options_.timeouts) {}

Result<void> RedisListSource::open() {
  if (auto connected = connection_.connect(); !connected) return connected;
  if (auto looked = look_at_server(); !looked) return looked;
  if (auto renewed = renew_lease(); !renewed) return renewed;
  // A reply that was lost with the last connection has left messages with this reader.
  reading_own_ = true;
  own_cursor_ = 0;
  return {};
}

Result<void> RedisListSource::look_at_server() {
  if (server_known_) return {};
  auto type = connection_.command({"TYPE", options_.key});
  if (!type) return type.error();
  if (type->value().text() != "list" && type->value().text() != "none") {
    return Error{ErrorCode::configuration, "the key \"" + options_.key + "\" of " +
                                               options_.address.shown() + " is not a list"};
  }
  auto durability = durability_warning(connection_, kSourceLoss);
  if (!durability) return durability.error();
  auto features = ask_features(connection_);
  if (!features) return features.error();
  can_wait_ = features->list_moves;
  server_known_ = true;
  if (!durability->empty()) warn(std::move(*durability));
  if (!can_wait_) {
    warn(options_.address.shown() + " is Redis " + features->version +
         ", which has no BLMOVE (6.2 has): an empty list is asked again and again instead");
  }
  return {};
}

Result<RedisReply> RedisListSource::run(std::string_view script,
                                        std::span<const std::string> arguments) {
  const std::string text = std::string(kNow) + std::string(script);
  std::vector<std::string_view> words = {"EVAL", text, "1", options_.key, options_.consumer};
  words.insert(words.end(), arguments.begin(), arguments.end());
  return connection_.command(words);
}

Result<void> RedisListSource::poll(std::size_t max_messages, Duration wait, SourceBatch& batch) {
  const std::size_t count = std::max<std::size_t>(1, std::min(max_messages, count_limit_));
  if (reading_own_) {
    if (auto polled = poll_own(count, batch); !polled || reading_own_) return polled;
  }
  auto taken = poll_new(count, batch);
  if (!taken) return taken.error();
  if (*taken > 0 || wait < std::chrono::milliseconds(1) || !can_wait_) return {};
  if (auto waited = wait_for_elements(wait); !waited) return waited;
  taken = poll_new(count, batch);
  if (!taken) return taken.error();
  return {};
}

Result<void> RedisListSource::poll_own(std::size_t count, SourceBatch& batch) {
  const std::vector<std::string> arguments = {std::to_string(count), std::to_string(own_cursor_),
                                              opened_before_ ? "0" : "1"};
  auto rows = run(kTakeOwn, arguments);
  if (!rows) return rows.error();
  auto taken = take_rows(rows->value(), batch);
  if (!taken) return taken.error();
  if (*taken > 0) {
    batch.redelivered = true;
  } else {
    reading_own_ = false;
    opened_before_ = true;
  }
  return {};
}

Result<std::size_t> RedisListSource::poll_new(std::size_t count, SourceBatch& batch) {
  const std::vector<std::string> arguments = {std::to_string(count), options_.acks ? "1" : "0"};
  auto rows = run(kTake, arguments);
  if (!rows) return rows.error();
  return take_rows(rows->value(), batch);
}

Result<void> RedisListSource::wait_for_elements(Duration wait) {
  // From the head to the head: it moves nothing, and waits until there is something. The bound is
  // as for XREADGROUP: a wait near the reply's timeout would look like a dead server.
  const Duration bound = std::min(wait, options_.timeouts.reply / 2);
  char seconds[32];
  std::snprintf(seconds, sizeof seconds, "%.3f", std::chrono::duration<double>(bound).count());
  auto waited =
      connection_.command({"BLMOVE", options_.key, options_.key, "LEFT", "LEFT", seconds});
  if (!waited) return waited.error();
  return {};
}

Result<std::size_t> RedisListSource::take_rows(RedisValue rows, SourceBatch& batch) {
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const RedisValue row = rows[i];
    if (row.size() != 3 || row[1].kind() != RedisValue::Kind::text ||
        row[2].kind() != RedisValue::Kind::integer) {
      return malformed();
    }
    const std::string_view id = row[0].text();
    const char* const id_end = id.data() + id.size();
    SourceMessage message;
    const auto parsed = std::from_chars(id.data(), id_end, message.token.low);
    if (parsed.ec != std::errc{} || parsed.ptr != id_end) return malformed();
    own_cursor_ = std::max(own_cursor_, message.token.low);
    const std::int64_t given = row[2].integer();
    if (given <= 0) continue;  // Acked by another that had taken it over.
    bytes += row[1].text().size();
    if (row[1].text().size() > kMaxPayloadBytes) {
      ++batch.lost;
      warn("the message " + describe(message.token) +
           " is larger than a message may be (16 MiB): left with this reader");
      continue;
    }
    message.payload = row[1].text();
    message.given_before = static_cast<std::uint32_t>(std::min<std::int64_t>(given - 1, 1U << 31));
    batch.add(message);
  }
  if (rows.size() > 0) {
    const std::size_t average = std::max<std::size_t>(1, bytes / rows.size());
    const std::size_t grown = rows.size() >= count_limit_ ? count_limit_ * 2 : count_limit_;
    count_limit_ =
        std::min({std::max<std::size_t>(1, kPollTargetBytes / average), grown, kMaxFrameItems});
  }
  return rows.size();
}

Result<void> RedisListSource::ack(std::span<const SourceToken> tokens) {
  if (!options_.acks) return {};
  const std::size_t step = options_.ack_in_batches ? kTokensPerScript : 1;
  while (!tokens.empty()) {
    const std::size_t count = std::min(tokens.size(), step);
    if (auto forgotten = forget(tokens.first(count)); !forgotten) return forgotten;
    tokens = tokens.subspan(count);
  }
  return {};
}

Result<bool> RedisListSource::write_and_ack(Sink& sink, std::span<const Message> messages,
                                            std::span<const SourceToken> tokens) {
  if (!options_.acks) return false;
  // As kForget.
  const std::string held = options_.key + ":processing:" + options_.consumer;
  const std::string delayed = options_.key + ":delayed";
  const std::string payloads = options_.key + ":payloads";
  const std::string attempts = options_.key + ":attempts";
  return write_and_ack_jointly(connection_, options_.key, sink, messages, tokens,
                               [&](const SourceToken& token, std::string& id, RedisSteps& steps) {
                                 id = std::to_string(token.low);
                                 steps.add({"ZREM", held, id});
                                 steps.add({"ZREM", delayed, id});
                                 steps.add({"HDEL", payloads, id});
                                 steps.add({"HDEL", attempts, id});
                               });
}

Result<void> RedisListSource::forget(std::span<const SourceToken> tokens) {
  auto reply = run(kForget, ids_of(tokens, {}));
  if (!reply) return reply.error();
  return {};
}

Result<void> RedisListSource::leave(std::span<const SourceToken> tokens) {
  while (!tokens.empty()) {
    const std::size_t count = std::min(tokens.size(), kTokensPerScript);
    auto reply = run(kLeave, ids_of(tokens.first(count), {ms_text(options_.retry_delay)}));
    if (!reply) return reply.error();
    tokens = tokens.subspan(count);
  }
  return {};
}

Result<void> RedisListSource::renew_lease() {
  SourceTended unasked;
  return tend(unasked);
}

Result<void> RedisListSource::tend(SourceTended& done) {
  const std::vector<std::string> arguments = {ms_text(options_.lease)};
  auto removed = run(kTend, arguments);
  if (!removed) return removed.error();
  done.readers_removed += static_cast<std::uint64_t>(removed->value().integer());
  return {};
}

void RedisListSource::warn(std::string text) {
  if (warnings_.size() < kMaxWarnings) warnings_.push_back(std::move(text));
}

std::vector<std::string> RedisListSource::take_warnings() {
  return std::exchange(warnings_, {});
}

std::string RedisListSource::describe(const SourceToken& token) const {
  return options_.key + "#" + std::to_string(token.low);
}

}  // namespace tempest::builtin
