#include "tempest/builtin/redis_sink.hpp"

#include <algorithm>

#include "tempest/builtin/limits.hpp"
#include "tempest/builtin/redis_server_features.hpp"
#include "tempest/runtime/clock.hpp"

namespace tempest::builtin {
namespace {

constexpr std::size_t kMostInFlight = 1'000;
constexpr Duration kLongestQuick = std::chrono::seconds(1);

}  // namespace

std::span<const Message> first_part(std::span<const Message> messages, std::size_t most) {
  std::size_t count = 0;
  for (std::size_t bytes = 0; count < messages.size() && count < most && bytes < kWriteTargetBytes;
       ++count) {
    bytes += messages[count].payload.size();
  }
  return messages.first(count);
}

Duration RedisSink::quick(const runtime::RedisTimeouts& timeouts) {
  return std::min(kLongestQuick, timeouts.reply / 2);
}

Result<void> RedisSink::open() {
  if (auto opened = session_.open(kSinkLoss); !opened) return opened;
  if (auto looked = look_at_key(); !looked) return looked;
  connection().has_worked();
  return {};
}

Result<void> RedisSink::look_at_key() {
  auto type = connection().exchange({"TYPE", key_});
  if (!type) return type.error();
  const runtime::RedisValue found = type->value();
  if (found.kind() == runtime::RedisValue::Kind::error) {
    // Who may write need not be allowed to look.
    const bool may_not_look =
        found.text().starts_with("NOPERM") || found.text().starts_with("ERR unknown command");
    return may_not_look ? Result<void>() : connection().check(found);
  }
  if (found.text() == type_ || found.text() == "none") return {};
  return Error{connection().worked() ? ErrorCode::unavailable : ErrorCode::configuration,
               "the key \"" + key_ + "\" of " + address().shown() + " holds a " +
                   std::string(found.text()) + ", where a " + type_ +
                   " is to be written: name another key, or take that one away"};
}

Result<void> RedisSink::write(std::span<const Message> messages) {
  const bool was_connected = connection().connected();
  if (was_connected && connection().is_hung_up()) {
    // Servers close connections that are idle for long.
    if (auto opened = open(); !opened) return opened;
  }
  const TimePoint begun_at = runtime::monotonic_now();
  auto written = write_parts(messages);
  if (written || !was_connected || connection().connected()) return written;
  // It may have been closed a moment ago: the same, but seen only now. A server that just says
  // nothing is not asked twice.
  if (runtime::monotonic_now() - begun_at > quick_) return written;
  if (auto opened = open(); !opened) return written;
  return write_parts(messages);
}

Result<void> RedisSink::write_parts(std::span<const Message> messages) {
  while (!messages.empty()) {
    const std::span<const Message> part = first_part(messages, kMostInFlight);
    if (auto written = write_part(part); !written) return written;
    messages = messages.subspan(part.size());
  }
  return {};
}

}  // namespace tempest::builtin
