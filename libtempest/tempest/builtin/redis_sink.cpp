#include "tempest/builtin/redis_sink.hpp"

#include "tempest/builtin/limits.hpp"
#include "tempest/builtin/redis_server_features.hpp"

namespace tempest::builtin {
namespace {

constexpr std::size_t kMostInFlight = 1'000;

}  // namespace

std::span<const Message> first_part(std::span<const Message> messages, std::size_t most) {
  std::size_t count = 0;
  for (std::size_t bytes = 0; count < messages.size() && count < most && bytes < kWriteTargetBytes;
       ++count) {
    bytes += messages[count].payload.size();
  }
  return messages.first(count);
}

Result<void> RedisSink::open() {
  if (auto connected = connection_.connect(); !connected) return connected;
  if (server_known_) return {};
  auto durability = durability_warning(connection_, kSinkLoss);
  if (!durability) return durability.error();
  server_known_ = true;
  if (!durability->empty()) warnings_.push_back(std::move(*durability));
  return {};
}

Result<void> RedisSink::write(std::span<const Message> messages) {
  while (!messages.empty()) {
    const std::span<const Message> part = first_part(messages, kMostInFlight);
    if (auto written = write_part(part); !written) return written;
    messages = messages.subspan(part.size());
  }
  return {};
}

}  // namespace tempest::builtin
