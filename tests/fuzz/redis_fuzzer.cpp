#include <string>
#include <vector>

#include "redis_pipe.hpp"
#include "tempest/builtin/redis_stream_source.hpp"

/// What a Redis may say to a redis_stream source.
using namespace tempest;
using fuzz::require;

namespace {

builtin::RedisStreamSource::Options options_of(std::uint8_t choices) {
  builtin::RedisStreamSource::Options options;
  options.address = fuzz::address_of(choices);
  if ((choices & 4) != 0) options.field = "value";
  if ((choices & 8) != 0) options.key_field = "key";
  options.ack_in_batches = (choices & 16) == 0;
  options.key = "stream";
  options.group = "group";
  options.consumer = "consumer";
  return options;
}

void use(builtin::RedisStreamSource& source) {
  if (!source.open()) return;
  for (std::size_t i = 0; i < fuzz::kMaxPolls; ++i) {
    SourceBatch batch;
    const bool polled = source.poll(100, std::chrono::milliseconds(1), batch).ok();
    std::vector<SourceToken> tokens;
    for (const SourceMessage& message : batch.messages()) {
      require(!source.describe(message.token).empty(), "a message without its id");
      tokens.push_back(message.token);
    }
    fuzz::look_at_warnings(source);
    if (!polled || !source.ack(tokens)) return;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  builtin::RedisStreamSource source(options_of(input.byte()));
  const fuzz::Pipe pipe(input.rest());
  use(source);
  return 0;
}
