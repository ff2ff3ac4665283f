#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tempest {

/// Drawn at random at each start of a process. Two lives of a node never share one, so whatever
/// carries an incarnation can be told from what an earlier life sent.
struct Incarnation {
  std::uint64_t high = 0;
  std::uint64_t low = 0;

  auto operator<=>(const Incarnation&) const = default;
};

/// 32 lower-case hexadecimal digits.
std::string to_string(const Incarnation& incarnation);
std::optional<Incarnation> parse_incarnation(std::string_view text);

/// A task's place in its topology's file, from 0. Agreed per topology version.
enum class TaskId : std::uint16_t {};
/// An edge's place in its graph's list of edges, from 0. Agreed per topology version.
enum class EdgeId : std::uint16_t {};

/// The edge of messages that come from the source, and no edge at all in an output.
inline constexpr EdgeId kNoEdge{0xffff};
inline constexpr TaskId kNoTask{0xffff};

/// What the process does. The values are on the wire.
enum class Role : std::uint8_t {
  broker = 0,
  source = 1,
  pipeline = 2,
  task = 3,
  stats = 4,
  operator_ = 5
};

const char* to_string(Role role);

/// A place in a slab and the number of times that place has been used. An id that outlives what it
/// named matches nothing: this is how late results and stale acks are known.
template <typename Tag>
struct SlabId {
  std::uint32_t slot = 0xffffffff;
  std::uint32_t generation = 0;

  auto operator<=>(const SlabId&) const = default;

  /// The form on the wire. Slots are in the low half, so ids handed out in a row are consecutive
  /// numbers and pack into runs.
  std::uint64_t packed() const { return (std::uint64_t{generation} << 32) | slot; }
  static SlabId unpack(std::uint64_t packed) {
    return {static_cast<std::uint32_t>(packed), static_cast<std::uint32_t>(packed >> 32)};
  }
};

/// One message of a source_node, from its read to its ack. Valid in one incarnation of the source.
using MessageId = SlabId<struct MessageTag>;
/// One source message and its descendants at a coordinator.
using TreeId = SlabId<struct TreeTag>;
/// One attempt of a delivery at a coordinator: each attempt has a generation of its own.
using DeliveryId = SlabId<struct DeliveryTag>;
/// One live link session at a node that accepts links.
using PeerId = SlabId<struct PeerTag>;

}  // namespace tempest
