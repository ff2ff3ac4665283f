#include "tempest/builtin/joint_ack.hpp"

#include "tempest/builtin/limits.hpp"

namespace tempest::builtin {
namespace {

constexpr std::size_t kMaxMessagesPerStep = 500;

/// How many of the first are written in one step.
std::size_t part_size(std::span<const Message> messages) {
  std::size_t count = 0;
  for (std::size_t bytes = 0; count < messages.size() && count < kMaxMessagesPerStep &&
                              (count == 0 || bytes < kWriteTargetBytes);
       ++count) {
    bytes += messages[count].payload.size();
  }
  return count;
}

bool is_unavailable(const Error& error) {
  return error.code == ErrorCode::unavailable || error.code == ErrorCode::timeout;
}

}  // namespace

Result<bool> write_and_ack_jointly(runtime::RedisConnection& connection,
                                   std::string_view source_key, Sink& sink,
                                   std::span<const Message> messages,
                                   std::span<const SourceToken> tokens, const AddAck& add_ack) {
  const auto* writer = dynamic_cast<const RedisWriter*>(&sink);
  if (writer == nullptr || writer->address() != connection.address()) return false;
  while (!messages.empty()) {
    const std::size_t count = part_size(messages);
    RedisSteps steps;
    std::vector<std::string> ids(count);
    writer->add_writes(messages.first(count), steps);
    for (std::size_t i = 0; i < count; ++i) add_ack(tokens[i], ids[i], steps);
    if (auto done = steps.run(connection, {writer->key(), source_key}); !done) {
      if (is_unavailable(done.error())) return done.error();
      return false;
    }
    messages = messages.subspan(count);
    tokens = tokens.subspan(count);
  }
  return true;
}

}  // namespace tempest::builtin
