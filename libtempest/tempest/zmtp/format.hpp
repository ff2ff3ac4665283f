#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

/// The bytes of ZMTP 3, the protocol of ZeroMQ's sockets (https://rfc.zeromq.org/spec/23 and, for
/// PING and PONG, /37), as far as a DEALER and a ROUTER without a security mechanism need it.
namespace tempest::zmtp {

enum class SocketType : std::uint8_t { dealer, router };

const char* to_string(SocketType type);

inline constexpr std::size_t kGreetingBytes = 64;
/// A command is small: a name, and a few properties of at most this together.
inline constexpr std::size_t kMaxCommandBytes = 2048;
/// The longest routing id.
inline constexpr std::size_t kMaxIdentityBytes = 255;
/// What a PING may carry for its PONG to return.
inline constexpr std::size_t kMaxPingContextBytes = 16;

/// A frame's first byte.
inline constexpr std::uint8_t kMoreFlag = 1;
inline constexpr std::uint8_t kLongFlag = 2;
inline constexpr std::uint8_t kCommandFlag = 4;

/// What each end says first.
std::string greeting();
/// Whether these bytes may be the beginning of a greeting that we can talk to, as far as they go.
/// `why` says what is wrong, for the log.
bool may_be_greeting(std::string_view bytes, std::string& why);

/// The bodies of commands.
std::string ready_command(SocketType type, std::string_view identity);
/// `ttl_ds`: after how many tenths of a second without a word the receiver may hang up.
std::string ping_command(std::uint16_t ttl_ds);
std::string pong_command(std::string_view context);

/// A command taken apart. Views into its body.
struct Command {
  std::string_view name;
  std::string_view rest;
};
/// False if it is not of the form.
bool parse_command(std::string_view body, Command& command);

/// What we look at of a READY. Views into its body.
struct Ready {
  std::string_view socket_type;
  std::string_view identity;
};
bool parse_ready(std::string_view rest, Ready& ready);

struct Ping {
  std::uint16_t ttl_ds = 0;
  std::string_view context;
};
bool parse_ping(std::string_view rest, Ping& ping);

}  // namespace tempest::zmtp
