#include "tempest/builtin/redis_stream_sink.hpp"

#include <initializer_list>
#include <string_view>

namespace tempest::builtin {

template <typename Call>
auto RedisStreamSink::with_command(const Message& message, Call call) const {
  using Words = std::initializer_list<std::string_view>;
  if (options_.max_length == 0) {
    return call(Words{"XADD", options_.key, "*", options_.field, message.payload});
  }
  return call(
      Words{"XADD", options_.key, "MAXLEN", "~", kept_, "*", options_.field, message.payload});
}

void RedisStreamSink::add_writes(std::span<const Message> messages, RedisSteps& steps) const {
  for (const Message& message : messages) {
    with_command(message, [&steps](auto words) { steps.add(words); });
  }
}

Result<void> RedisStreamSink::write_part(std::span<const Message> messages) {
  for (const Message& message : messages) {
    Result<void> added =
        with_command(message, [this](auto words) { return connection().append(words); });
    if (!added) return added;
  }
  Result<void> outcome;
  for (std::size_t i = 0; i < messages.size(); ++i) {
    auto reply = connection().next_reply();
    if (!reply) return reply.error();
    // All replies are read, whatever they say: the next write must not find them.
    if (auto checked = connection().check(reply->value()); !checked) outcome = checked;
  }
  return outcome;
}

}  // namespace tempest::builtin
