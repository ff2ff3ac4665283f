#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tempest/base/shared_bytes.hpp"
#include "tempest/base/time.hpp"

/// What every node's machine takes in and gives out, whatever its role: the seam between pure
/// machines and what drives them (runtime/node_loop.hpp, or the simulator).
namespace tempest::link {

/// One of a node's sockets, as its machine numbers them. The machine chooses the numbers of the
/// channels it opens; what arrives says by which it came.
enum class ChannelId : std::uint32_t {};

/// The node's own ROUTER, at which others open links. Bound by the shell before the first step.
inline constexpr ChannelId kListener{0};
/// The channels to the brokers are kFirstBroker, kFirstBroker + 1, ...: opened by the machine.
inline constexpr ChannelId kFirstBroker{1};
/// Channels to coordinators are numbered from here, each number used once.
inline constexpr ChannelId kFirstCoordinator{1024};

/// A frame has come in.
struct FrameReceived {
  ChannelId channel{};
  std::string_view routing_id;  ///< Of the sender; empty unless channel is kListener.
  SharedBytes frame;
};

/// Something that a notice is about: a name without blanks, and a text or a whole number.
struct Field {
  Field(std::string field_name, std::string_view text) : name(std::move(field_name)), value(text) {}
  template <std::integral Number>
  Field(std::string field_name, Number number)
      : name(std::move(field_name)), value(std::to_string(number)), is_number(true) {}

  std::string name;
  std::string value;
  bool is_number = false;
};

/// Something for people to read, in the log.
struct Notice {
  enum class Level : std::uint8_t { debug, info, warning, error };
  Level level = Level::info;
  std::string text;
  std::vector<Field> fields;
};

/// What a step wants done. The driver carries everything out, in this order, and empties it.
struct Effects {
  struct Open {
    ChannelId channel{};
    std::string endpoint;
  };
  struct Send {
    ChannelId channel{};
    std::string routing_id;
    SharedBytes frame;
  };
  /// What goes out on the stats bus. Dropped where nobody keeps up, or there is no bus.
  struct Publication {
    std::string topic;
    std::string body;
  };
  /// Connect a DEALER.
  std::vector<Open> opens;
  /// Never blocks and may silently fail: the link sees to it.
  std::vector<Send> sends;
  /// Close that DEALER; what was sent just before may still get out.
  std::vector<ChannelId> closes;
  std::vector<Notice> notices;
  std::vector<Publication> publications;
  /// The machine has come to its end: leave the loop with this exit code.
  bool finished = false;
  int exit_code = 0;

  void notify(Notice::Level level, std::string text, std::vector<Field> fields = {}) {
    notices.push_back({level, std::move(text), std::move(fields)});
  }
};

}  // namespace tempest::link
