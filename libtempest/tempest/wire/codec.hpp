#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "tempest/base/result.hpp"
#include "tempest/wire/frames.hpp"

/// Frames to msgpack and back. The only place that knows the bytes.
///
/// Decoding trusts nothing: every length is checked against what is left of the frame and against
/// base/limits.hpp before anything is reserved, nothing may be left over, unknown elements at the
/// end of an array are skipped (so that a later minor version can add fields), and a fault is a
/// returned error, never an exception.
namespace tempest::wire {

// --- Link headers. Encoders replace `frame`. ---

void encode(const Hello& hello, std::string& frame);
void encode(const Welcome& welcome, std::string& frame);
void encode(const Heartbeat& heartbeat, std::string& frame);
void encode(const Reset& reset, std::string& frame);
void encode(const Bye& bye, std::string& frame);

/// The type of a frame, from its first bytes.
Result<FrameType> peek_type(std::string_view frame);

Result<void> decode(std::string_view frame, Hello& hello);
Result<void> decode(std::string_view frame, Welcome& welcome);
Result<void> decode(std::string_view frame, Heartbeat& heartbeat);
Result<void> decode(std::string_view frame, Reset& reset);
Result<void> decode(std::string_view frame, Bye& bye);

/// A data frame has a head of this fixed size (its integers always take nine bytes), so that it
/// can be written before the body and filled in when the frame is numbered.
inline constexpr std::size_t kDataHeaderBytes = 30;

/// Starts a data frame: `frame` becomes a head to be filled in, and the body is appended to it.
void begin_data(BodyKind kind, std::string& frame);
/// Fills in the head of a frame that begin_data started.
void finish_data(const DataHeader& header, std::string& frame);
/// The head; `body` is what follows it.
Result<void> decode(std::string_view frame, DataHeader& header, std::string_view& body);

// --- Bodies. Encoders append to `frame`. ---

void encode(const Registration& registration, std::string& frame);
void encode(const Directory& directory, std::string& frame);
void encode(const SlotSettlement& settlement, std::string& frame);
void encode(const Query& query, std::string& frame);
void encode(const Snapshot& snapshot, std::string& frame);
void encode(const Watch& watch, std::string& frame);
void encode(const Attach& attach, std::string& frame);
void encode(const Window& window, std::string& frame);
void encode(const Messages& messages, std::string& frame);
void encode(const Outcomes& outcomes, std::string& frame);
void encode(const Deliveries& deliveries, std::string& frame);
void encode(const Results& results, std::string& frame);

Result<void> decode(std::string_view body, Registration& registration);
Result<void> decode(std::string_view body, Directory& directory);
Result<void> decode(std::string_view body, SlotSettlement& settlement);
Result<void> decode(std::string_view body, Query& query);
Result<void> decode(std::string_view body, Snapshot& snapshot);
Result<void> decode(std::string_view body, Watch& watch);
Result<void> decode(std::string_view body, Attach& attach);
Result<void> decode(std::string_view body, Window& window);
Result<void> decode(std::string_view body, Messages& messages);
Result<void> decode(std::string_view body, Outcomes& outcomes);
Result<void> decode(std::string_view body, Deliveries& deliveries);
Result<void> decode(std::string_view body, Results& results);

// --- On the stats bus. Encoders replace `frame`. ---

void encode(const StatsReport& report, std::string& frame);
Result<void> decode(std::string_view frame, StatsReport& report);
void encode(const Sightings& sightings, std::string& frame);
Result<void> decode(std::string_view frame, Sightings& sightings);

/// The kind of each body, for code that is generic over bodies.
template <typename Body>
inline constexpr BodyKind kKindOf = BodyKind{};
template <>
inline constexpr BodyKind kKindOf<Registration> = BodyKind::registration;
template <>
inline constexpr BodyKind kKindOf<Directory> = BodyKind::directory;
template <>
inline constexpr BodyKind kKindOf<SlotSettlement> = BodyKind::slot_settlement;
template <>
inline constexpr BodyKind kKindOf<Query> = BodyKind::query;
template <>
inline constexpr BodyKind kKindOf<Snapshot> = BodyKind::snapshot;
template <>
inline constexpr BodyKind kKindOf<Watch> = BodyKind::watch;
template <>
inline constexpr BodyKind kKindOf<Attach> = BodyKind::attach;
template <>
inline constexpr BodyKind kKindOf<Window> = BodyKind::window;
template <>
inline constexpr BodyKind kKindOf<Messages> = BodyKind::messages;
template <>
inline constexpr BodyKind kKindOf<Outcomes> = BodyKind::outcomes;
template <>
inline constexpr BodyKind kKindOf<Deliveries> = BodyKind::deliveries;
template <>
inline constexpr BodyKind kKindOf<Results> = BodyKind::results;

/// A data frame with this body, for a link to number and send.
template <typename Body>
std::string data_frame(const Body& body) {
  std::string frame;
  begin_data(kKindOf<Body>, frame);
  encode(body, frame);
  return frame;
}

}  // namespace tempest::wire
