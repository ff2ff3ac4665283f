#include "tempest/builtin/redis_session.hpp"

#include <algorithm>
#include <charconv>
#include <random>

#include "tempest/base/hash.hpp"
#include "tempest/builtin/limits.hpp"
#include "tempest/builtin/redis_server_features.hpp"

namespace tempest::builtin {
namespace {

using runtime::RedisValue;

/// A reader that lives asks its server something far more often. One whose host has died may stay
/// in the server's list of connections for minutes.
constexpr std::int64_t kSilentSeconds = 30;
constexpr std::size_t kMaxShownBytes = 160;
/// The server sees a little later than this node that a connection has been closed.
constexpr int kLooks = 4;

std::string hex(std::uint64_t number) {
  char digits[16];
  const auto end = std::to_chars(digits, digits + sizeof digits, number, 16);
  return {digits, end.ptr};
}

/// The server takes no spaces and no control characters in a connection's name.
std::string connection_name(const RedisReader& reader) {
  const std::string whole = reader.key + '\0' + reader.group + '\0' + reader.consumer;
  std::string name = "tempest:" + hex(hash_bytes(whole)) + ":" + reader.consumer;
  if (name.size() > kMaxShownBytes) name.resize(kMaxShownBytes);
  for (char& byte : name) {
    if (byte <= ' ' || byte > '~' || byte == '#') byte = '_';
  }
  return name;
}

std::string_view word_of(std::string_view line, std::string_view name) {
  for (std::size_t at = 0; at < line.size();) {
    const std::size_t end = std::min(line.find(' ', at), line.size());
    const std::string_view word = line.substr(at, end - at);
    at = end + 1;
    if (word.starts_with(name)) return word.substr(name.size());
  }
  return {};
}

std::int64_t number_of(std::string_view text) {
  std::int64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

}  // namespace

std::vector<std::string> older_namesakes(std::string_view clients, std::string_view name,
                                         std::string_view life, std::int64_t own,
                                         std::uint32_t database) {
  std::vector<std::string> addresses;
  for (std::size_t at = 0; at < clients.size();) {
    const std::size_t end = std::min(clients.find('\n', at), clients.size());
    const std::string_view line = clients.substr(at, end - at);
    at = end + 1;
    std::string_view called = word_of(line, "name=");
    if (!called.starts_with(name) || called.size() <= name.size() || called[name.size()] != '#') {
      continue;
    }
    called.remove_prefix(name.size() + 1);
    const bool is_older = number_of(word_of(line, "id=")) < own;
    const bool is_alive = number_of(word_of(line, "idle=")) <= kSilentSeconds;
    const bool is_here = number_of(word_of(line, "db=")) == database;
    if (called != life && is_older && is_alive && is_here) {
      addresses.emplace_back(word_of(line, "addr="));
    }
  }
  return addresses;
}

Result<void> RedisSession::open(std::string_view loss) {
  auto connected = server_.connect(connection_);
  if (std::string warning = server_.take_warning(); !warning.empty()) warn(std::move(warning));
  if (!connected) return connected;
  return look_at_server(loss);
}

Result<void> RedisSession::look_at_server(std::string_view loss) {
  if (looked_) return {};
  auto durability = durability_warning(connection_, loss);
  if (!durability) return durability.error();
  auto eviction = eviction_warning(connection_);
  if (!eviction) return eviction.error();
  looked_ = true;
  if (!durability->empty()) warn(std::move(*durability));
  if (!eviction->empty()) warn(std::move(*eviction));
  return {};
}

Result<void> RedisSession::claim(const RedisReader& reader) {
  if (life_.empty()) {
    std::random_device device;
    life_ = hex((static_cast<std::uint64_t>(device()) << 32) | device());
  }
  const std::string name = connection_name(reader);
  // First the name, then the look: of two that do this at once, the later sees the other.
  auto named = connection_.exchange({"CLIENT", "SETNAME", name + "#" + life_});
  if (!named) return named.error();
  if (named->value().kind() == RedisValue::Kind::error) return {};
  auto own = connection_.exchange({"CLIENT", "ID"});
  if (!own) return own.error();
  std::vector<std::string> others;
  for (int look = 0; look < kLooks; ++look) {
    auto clients = connection_.exchange({"CLIENT", "LIST"});
    if (!clients) return clients.error();
    if (own->value().kind() != RedisValue::Kind::integer ||
        clients->value().kind() != RedisValue::Kind::text) {
      return {};
    }
    others = older_namesakes(clients->value().text(), name, life_, own->value().integer(),
                             connection_.address().database);
    if (others.empty()) return {};
  }
  connection_.close();
  return Error{ErrorCode::unavailable,
               "another node reads \"" + reader.key + "\" of " + connection_.address().shown() +
                   " under the name \"" + reader.consumer + "\", from " + others.front() +
                   ": both would do the same messages. Waiting until it has gone; give each a name "
                   "of its own with --consumer or --name"};
}

void RedisSession::warn(std::string text) {
  if (warnings_.size() < kMaxWarnings) warnings_.push_back(std::move(text));
}

}  // namespace tempest::builtin
