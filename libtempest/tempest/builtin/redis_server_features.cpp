#include "tempest/builtin/redis_server_features.hpp"

#include <charconv>
#include <utility>

namespace tempest::builtin {

RedisFeatures redis_features(std::string_view info) {
  constexpr std::string_view kField = "redis_version:";
  RedisFeatures features;
  const std::size_t at = info.find(kField);
  if (at == std::string_view::npos) return features;
  std::string_view text = info.substr(at + kField.size());
  text = text.substr(0, text.find_first_of("\r\n"));
  std::pair<unsigned, unsigned> version;
  const char* const end = text.data() + text.size();
  const auto major = std::from_chars(text.data(), end, version.first);
  if (major.ec != std::errc{} || major.ptr == end || *major.ptr != '.') return features;
  if (std::from_chars(major.ptr + 1, end, version.second).ec != std::errc{}) return features;
  features.version = text;
  features.streams = version >= std::pair(5U, 0U);
  features.pending_idle = features.list_moves = version >= std::pair(6U, 2U);
  return features;
}

Result<RedisFeatures> ask_features(runtime::RedisConnection& connection) {
  // Where INFO is not allowed, nothing is known, and everything hoped for.
  auto reply = connection.exchange({"INFO", "server"});
  if (!reply) return reply.error();
  return redis_features(reply->value().text());
}

Result<std::string> durability_warning(runtime::RedisConnection& connection,
                                       std::string_view loss) {
  auto reply = connection.exchange({"CONFIG", "GET", "appendonly"});
  if (!reply) return reply.error();
  const runtime::RedisValue setting = reply->value();
  // Where CONFIG is not allowed, there is nothing to be said.
  if (setting.size() != 2 || setting[1].text() != "no") return std::string();
  return connection.address().shown() + " keeps no append-only file: when it stops, " +
         std::string(loss) + "; set \"appendonly yes\" in its configuration";
}

Result<std::string> eviction_warning(runtime::RedisConnection& connection) {
  auto reply = connection.exchange({"CONFIG", "GET", "maxmemory-policy"});
  if (!reply) return reply.error();
  const runtime::RedisValue setting = reply->value();
  if (setting.size() != 2 || setting[0].text() != "maxmemory-policy" ||
      setting[1].text() == "noeviction") {
    return std::string();
  }
  return connection.address().shown() +
         " may drop keys when it is short of memory "
         "(maxmemory-policy " +
         std::string(setting[1].text()) +
         "), with all messages in them; set \"maxmemory-policy noeviction\" in its configuration";
}

}  // namespace tempest::builtin
