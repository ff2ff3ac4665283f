#pragma once

#include <cstddef>
#include <cstdint>

/// Bounds that hold everywhere. Those that a user may set stand in the topology or the options.
namespace tempest {

/// The largest payload, or output, or key: what a frame may hold, less room for its head.
inline constexpr std::size_t kMaxPayloadBytes = 16ULL << 20;
/// The largest frame that any node takes or sends.
inline constexpr std::size_t kMaxFrameBytes = 64ULL << 20;
/// A batch under way is closed and sent once it holds this much.
inline constexpr std::size_t kFrameTargetBytes = 256ULL << 10;
/// The most messages, deliveries, results or ids in one frame.
inline constexpr std::size_t kMaxFrameItems = 65'536;
/// The most parts of deliveries, or outputs of results, in one frame.
inline constexpr std::size_t kMaxFrameParts = 1'048'576;
/// The most that all messages of a join (`gather = "all"`) may hold together, each counted with
/// kJoinPartBytes beside its payload and key, and how many they may be: what fits into one frame
/// with room for its heads, and for what is in that frame already.
inline constexpr std::size_t kMaxJoinBytes = 56ULL << 20;
inline constexpr std::size_t kJoinPartBytes = 16;
inline constexpr std::size_t kMaxJoinParts = kMaxFrameParts - kMaxFrameItems;
/// The longest name of a node, topology, task or output.
inline constexpr std::size_t kMaxNameBytes = 255;
/// The longest reason that is carried with an error; longer ones are cut.
inline constexpr std::size_t kMaxReasonBytes = 4'096;
/// The most nodes a directory lists.
inline constexpr std::size_t kMaxNodes = 4'096;
/// A peer's lease is taken to lie between these, whatever it says.
inline constexpr std::uint64_t kMinLeaseMs = 100;
inline constexpr std::uint64_t kMaxLeaseMs = 60'000;
/// Whoever opened a session and has said nothing in it for this long is turned out: its place is
/// one of kMaxNodes.
inline constexpr std::uint64_t kMaxSilenceMs = 10'000;
/// The largest topology definition.
inline constexpr std::size_t kMaxTopologyBytes = 1ULL << 20;
/// The most deliveries of one tree that may be unfinished at once; a tree that grows beyond fails.
inline constexpr std::size_t kMaxTreeDeliveries = 1'000'000;
/// The most attempts of a delivery that may be asked for.
inline constexpr std::uint32_t kMaxAttempts = 1'000'000;
/// Into how many slots keys are hashed; slots, not keys, belong to workers.
inline constexpr std::size_t kKeySlots = 256;

}  // namespace tempest
