#include <cstdio>
#include <string>
#include <vector>

#include "redis_pipe.hpp"
#include "tempest/base/limits.hpp"
#include "tempest/builtin/redis_list_source.hpp"

/// What a Redis may say to a redis_list source.
using namespace tempest;
using fuzz::require;

namespace {

builtin::RedisListSource::Options options_of(std::uint8_t choices) {
  builtin::RedisListSource::Options options;
  options.address = fuzz::address_of(choices);
  options.acks = (choices & 4) == 0;
  options.ack_in_batches = (choices & 8) == 0;
  options.key = "list";
  options.consumer = "consumer";
  return options;
}

std::string hexadecimal(std::uint64_t number) {
  char digits[17];
  std::snprintf(digits, sizeof digits, "%016llx", static_cast<unsigned long long>(number));
  return digits;
}

void look_at(const SourceMessage& message) {
  require(message.payload.size() <= kMaxPayloadBytes, "a payload that no message may have");
  require(message.given_before <= 1U << 31, "given out more often than anybody can count");
}

void use(builtin::RedisListSource& source, bool leaves) {
  if (!source.open()) return;
  for (std::size_t i = 0; i < fuzz::kMaxPolls; ++i) {
    SourceBatch batch;
    const bool polled = source.poll(100, std::chrono::milliseconds(1), batch).ok();
    std::vector<SourceToken> tokens;
    for (const SourceMessage& message : batch.messages()) {
      look_at(message);
      const std::string id = message.token.high == 0
                                 ? std::to_string(message.token.low)
                                 : hexadecimal(message.token.high) + hexadecimal(message.token.low);
      require(source.describe(message.token) == "list#" + id, "a message by another's name");
      tokens.push_back(message.token);
    }
    fuzz::look_at_warnings(source);
    if (!polled || !(leaves ? source.leave(tokens) : source.ack(tokens))) return;
    SourceTended tended;
    if (leaves && !source.tend(tended)) return;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const std::uint8_t choices = input.byte();
  builtin::RedisListSource source(options_of(choices));
  const fuzz::Pipe pipe(input.rest());
  use(source, (choices & 16) != 0);
  return 0;
}
