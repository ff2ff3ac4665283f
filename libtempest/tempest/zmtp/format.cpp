#include "tempest/zmtp/format.hpp"

#include <algorithm>
#include <cctype>

namespace tempest::zmtp {

namespace {

constexpr char kSignatureEnd = 0x7f;
constexpr std::size_t kVersionAt = 10;
constexpr std::size_t kMechanismAt = 12;
constexpr std::size_t kMechanismBytes = 20;
constexpr std::string_view kMechanism = "NULL";

std::uint8_t byte_at(std::string_view bytes, std::size_t at) {
  return static_cast<std::uint8_t>(bytes[at]);
}

std::string command(std::string_view name) {
  std::string body(1, static_cast<char>(name.size()));
  return body.append(name);
}

void append_property(std::string& body, std::string_view name, std::string_view value) {
  body.push_back(static_cast<char>(name.size()));
  body.append(name);
  for (int shift = 24; shift >= 0; shift -= 8) {
    body.push_back(static_cast<char>(value.size() >> shift));
  }
  body.append(value);
}

/// Takes so many bytes off the front. False if there are not as many.
bool take(std::string_view& rest, std::size_t bytes, std::string_view& taken) {
  if (rest.size() < bytes) return false;
  taken = rest.substr(0, bytes);
  rest.remove_prefix(bytes);
  return true;
}

bool take_number(std::string_view& rest, std::size_t bytes, std::size_t& number) {
  std::string_view taken;
  if (!take(rest, bytes, taken)) return false;
  number = 0;
  for (const char byte : taken) number = (number << 8) | static_cast<std::uint8_t>(byte);
  return true;
}

/// Names of properties know no case.
bool is_same_name(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) {
    return std::tolower(static_cast<unsigned char>(x)) ==
           std::tolower(static_cast<unsigned char>(y));
  });
}

}  // namespace

const char* to_string(SocketType type) {
  return type == SocketType::dealer ? "DEALER" : "ROUTER";
}

std::string greeting() {
  std::string bytes(kGreetingBytes, '\0');
  bytes[0] = static_cast<char>(0xff);
  bytes[8] = 1;  // As libzmq does: to a peer of version 1 it is the length of an empty identity.
  bytes[9] = kSignatureEnd;
  bytes[kVersionAt] = 3;
  bytes[kVersionAt + 1] = 1;
  std::copy(kMechanism.begin(), kMechanism.end(), bytes.begin() + kMechanismAt);
  return bytes;
}

bool may_be_greeting(std::string_view bytes, std::string& why) {
  if (!bytes.empty() && byte_at(bytes, 0) != 0xff) {
    why = "it does not speak ZMTP";
    return false;
  }
  if (bytes.size() > 9 && bytes[9] != kSignatureEnd) {
    why = "it does not speak ZMTP, or version 1 of it";
    return false;
  }
  if (bytes.size() > kVersionAt && byte_at(bytes, kVersionAt) < 3) {
    why = "it speaks ZMTP of a version before 3";
    return false;
  }
  std::string wanted(kMechanism);
  wanted.resize(kMechanismBytes, '\0');
  if (bytes.size() >= kMechanismAt + kMechanismBytes &&
      bytes.substr(kMechanismAt, kMechanismBytes) != wanted) {
    why = "it wants a security mechanism, of which this end has none";
    return false;
  }
  return true;
}

std::string ready_command(SocketType type, std::string_view identity) {
  std::string body = command("READY");
  append_property(body, "Socket-Type", to_string(type));
  append_property(body, "Identity", identity);
  return body;
}

std::string ping_command(std::uint16_t ttl_ds) {
  std::string body = command("PING");
  body.push_back(static_cast<char>(ttl_ds >> 8));
  body.push_back(static_cast<char>(ttl_ds));
  return body;
}

std::string pong_command(std::string_view context) {
  return command("PONG").append(context);
}

bool parse_command(std::string_view body, Command& command) {
  std::size_t name_bytes = 0;
  if (!take_number(body, 1, name_bytes) || name_bytes == 0) return false;
  if (!take(body, name_bytes, command.name)) return false;
  command.rest = body;
  return true;
}

bool parse_ready(std::string_view rest, Ready& ready) {
  while (!rest.empty()) {
    std::size_t bytes = 0;
    std::string_view name;
    std::string_view value;
    if (!take_number(rest, 1, bytes) || bytes == 0 || !take(rest, bytes, name)) return false;
    if (!take_number(rest, 4, bytes) || !take(rest, bytes, value)) return false;
    if (is_same_name(name, "Socket-Type")) ready.socket_type = value;
    if (is_same_name(name, "Identity")) ready.identity = value;
  }
  return ready.identity.size() <= kMaxIdentityBytes;
}

bool parse_ping(std::string_view rest, Ping& ping) {
  std::size_t ttl_ds = 0;
  if (!take_number(rest, 2, ttl_ds) || rest.size() > kMaxPingContextBytes) return false;
  ping.ttl_ds = static_cast<std::uint16_t>(ttl_ds);
  ping.context = rest;
  return true;
}

}  // namespace tempest::zmtp
