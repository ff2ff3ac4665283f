#include "tempest/builtin/redis_stream_sink.hpp"

#include "tempest/builtin/limits.hpp"
#include "tempest/builtin/redis_server_features.hpp"

namespace tempest::builtin {
namespace {

constexpr std::size_t kMaxAddsInFlight = 1'000;

}  // namespace

Result<void> RedisStreamSink::open() {
  if (auto connected = connection_.connect(); !connected) return connected;
  if (server_known_) return {};
  auto durability = durability_warning(connection_, kSinkLoss);
  if (!durability) return durability.error();
  server_known_ = true;
  if (!durability->empty()) warnings_.push_back(std::move(*durability));
  return {};
}

void RedisStreamSink::add_writes(std::span<const Message> messages, RedisSteps& steps) const {
  for (const Message& message : messages) {
    if (options_.max_length == 0) {
      steps.add({"XADD", options_.key, "*", options_.field, message.payload});
    } else {
      steps.add({"XADD", options_.key, "MAXLEN", "~", kept_, "*", options_.field, message.payload});
    }
  }
}

Result<void> RedisStreamSink::write(std::span<const Message> messages) {
  while (!messages.empty()) {
    std::size_t count = 0;
    for (std::size_t bytes = 0;
         count < messages.size() && count < kMaxAddsInFlight && bytes < kWriteTargetBytes;
         ++count) {
      bytes += messages[count].payload.size();
    }
    if (auto written = write_part(messages.first(count)); !written) return written;
    messages = messages.subspan(count);
  }
  return {};
}

Result<void> RedisStreamSink::write_part(std::span<const Message> messages) {
  for (const Message& message : messages) {
    if (auto added = add(message); !added) return added;
  }
  Result<void> outcome;
  for (std::size_t i = 0; i < messages.size(); ++i) {
    auto reply = connection_.next_reply();
    if (!reply) return reply.error();
    // All replies are read, whatever they say: the next write must not find them.
    if (auto checked = connection_.check(reply->value()); !checked) outcome = checked;
  }
  return outcome;
}

Result<void> RedisStreamSink::add(const Message& message) {
  if (options_.max_length == 0) {
    return connection_.append({"XADD", options_.key, "*", options_.field, message.payload});
  }
  return connection_.append(
      {"XADD", options_.key, "MAXLEN", "~", kept_, "*", options_.field, message.payload});
}

}  // namespace tempest::builtin
