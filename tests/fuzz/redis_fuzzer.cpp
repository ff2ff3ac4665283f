#include <string>
#include <vector>

#include "redis_pipe.hpp"
#include "tempest/builtin/redis_stream_source.hpp"

/// What a Redis may say to a redis_stream source.
using namespace tempest;
using fuzz::require;

namespace {

constexpr std::size_t kMaxPolls = 4;

builtin::RedisStreamSource::Options options_of(std::uint8_t choices) {
  builtin::RedisStreamSource::Options options;
  options.address.unix_path = "/fuzz";
  if ((choices & 1) != 0) options.address.password = "secret";
  if ((choices & 2) != 0) options.address.database = 1;
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
  for (std::size_t i = 0; i < kMaxPolls; ++i) {
    SourceBatch batch;
    const bool polled = source.poll(100, std::chrono::milliseconds(1), batch).ok();
    std::vector<SourceToken> tokens;
    for (const SourceMessage& message : batch.messages) {
      require(!source.describe(message.token).empty(), "a message without its id");
      tokens.push_back(message.token);
    }
    for (const std::string& warning : source.take_warnings()) {
      require(!warning.empty(), "an empty warning");
    }
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
