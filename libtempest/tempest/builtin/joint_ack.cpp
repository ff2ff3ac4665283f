#include "tempest/builtin/joint_ack.hpp"

#include "tempest/builtin/redis_sink.hpp"

namespace tempest::builtin {
namespace {

constexpr std::size_t kMaxMessagesPerStep = 500;

}  // namespace

Result<bool> write_and_ack_jointly(runtime::RedisConnection& connection,
                                   std::string_view source_key, Sink& sink,
                                   std::span<const Message> messages,
                                   std::span<const SourceToken> tokens, const AddAck& add_ack) {
  const auto* writer = dynamic_cast<const RedisSink*>(&sink);
  if (writer == nullptr || writer->address() != connection.address()) return false;
  while (!messages.empty()) {
    const std::span<const Message> part = first_part(messages, kMaxMessagesPerStep);
    RedisSteps steps;
    std::vector<std::string> ids(part.size());
    writer->add_writes(part, steps);
    for (std::size_t i = 0; i < part.size(); ++i) add_ack(tokens[i], ids[i], steps);
    if (auto done = steps.run(connection, {writer->key(), source_key}); !done) {
      if (done.error().means_away()) return done.error();
      return false;
    }
    messages = messages.subspan(part.size());
    tokens = tokens.subspan(part.size());
  }
  return true;
}

}  // namespace tempest::builtin
