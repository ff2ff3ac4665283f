#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

#include "tempest/runtime/redis.hpp"

namespace tempest::runtime {
namespace {

// No part of what was given stands in these errors: a password may be in it, wherever the slip is.
Error wrong(std::string_view what) {
  return Error{ErrorCode::configuration,
               "the Redis URI " + std::string(what) +
                   "; it must be redis://[user[:password]@]host[:port][/database] or "
                   "unix://[user[:password]@]/path[?db=number]"};
}

template <typename Number>
bool parse_number(std::string_view text, Number& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc{} && end == text.data() + text.size();
}

std::optional<std::string> percent_decoded(std::string_view text) {
  std::string decoded;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      decoded += text[i];
      continue;
    }
    unsigned value = 0;
    if (i + 2 >= text.size()) return std::nullopt;
    const auto [end, error] = std::from_chars(&text[i + 1], &text[i + 1] + 2, value, 16);
    if (error != std::errc{} || end != &text[i + 1] + 2) return std::nullopt;
    decoded += static_cast<char>(value);
    i += 2;
  }
  return decoded;
}

/// A database beyond this no server has: it counts them in an int.
constexpr std::uint32_t kMaxDatabase = 2'147'483'647;

bool parse_database(std::string_view text, RedisAddress& address) {
  return parse_number(text, address.database) && address.database <= kMaxDatabase;
}

/// Takes "[user[:password]@]" off the front; `rest` is what follows.
bool take_credentials(std::string_view& rest, RedisAddress& address) {
  const std::size_t at = rest.rfind('@');
  if (at == std::string_view::npos || rest.starts_with('/')) return true;
  const std::string_view credentials = rest.substr(0, at);
  rest.remove_prefix(at + 1);
  const std::size_t colon = std::min(credentials.find(':'), credentials.size());
  const auto user = percent_decoded(credentials.substr(0, colon));
  const auto password =
      percent_decoded(credentials.substr(std::min(colon + 1, credentials.size())));
  if (!user || !password) return false;
  address.user = *user;
  address.password = *password;
  return true;
}

Result<void> take_host_and_port(std::string_view rest, RedisAddress& address) {
  std::string_view port;
  if (rest.starts_with('[')) {
    const std::size_t bracket = rest.find(']');
    if (bracket == std::string_view::npos) return wrong("has no ] after its IPv6 address");
    address.host = rest.substr(1, bracket - 1);
    port = rest.substr(bracket + 1);
    if (!port.empty() && port.front() != ':') return wrong("has something odd after its ]");
  } else {
    const std::size_t colon = rest.find(':');
    address.host = rest.substr(0, colon);
    if (colon != std::string_view::npos) port = rest.substr(colon);
  }
  if (address.host.empty()) return wrong("names no host");
  if (!port.empty() && (!parse_number(port.substr(1), address.port) || address.port == 0)) {
    return wrong("has a port that is no number from 1 to 65535");
  }
  return {};
}

}  // namespace

std::string RedisAddress::shown() const {
  const std::string suffix = database == 0 ? "" : "/" + std::to_string(database);
  if (!unix_path.empty()) {
    return "unix://" + unix_path + (database == 0 ? "" : "?db=" + std::to_string(database));
  }
  const bool bare = host.find(':') == std::string::npos;
  return "redis://" + (bare ? host : "[" + host + "]") + ":" + std::to_string(port) + suffix;
}

Result<RedisAddress> parse_redis_uri(std::string_view uri) {
  constexpr std::string_view kTcp = "redis://";
  constexpr std::string_view kUnix = "unix://";
  RedisAddress address;
  if (uri.starts_with("rediss://")) {
    return Error{ErrorCode::configuration,
                 "rediss:// (TLS) is not supported: use redis:// within a trusted network, or "
                 "through a tunnel"};
  }
  if (uri.starts_with(kUnix)) {
    std::string_view rest = uri.substr(kUnix.size());
    if (!take_credentials(rest, address)) return wrong("has a malformed user or password");
    const std::size_t query = rest.find("?db=");
    if (query != std::string_view::npos && !parse_database(rest.substr(query + 4), address)) {
      return wrong("has a database that is no number");
    }
    auto path = percent_decoded(rest.substr(0, query));
    if (!path) return wrong("has a malformed % in its path");
    address.unix_path = std::move(*path);
    if (!address.unix_path.starts_with('/')) return wrong("has no absolute path");
    return address;
  }
  if (!uri.starts_with(kTcp)) return wrong("begins with neither redis:// nor unix://");
  std::string_view rest = uri.substr(kTcp.size());
  if (!take_credentials(rest, address)) return wrong("has a malformed user or password");
  const std::size_t slash = rest.find('/');
  const std::string_view database =
      slash == std::string_view::npos ? std::string_view{} : rest.substr(slash + 1);
  if (!database.empty() && !parse_database(database, address)) {
    return wrong("has a database that is no number");
  }
  if (auto taken = take_host_and_port(rest.substr(0, slash), address); !taken) {
    return taken.error();
  }
  return address;
}

}  // namespace tempest::runtime
