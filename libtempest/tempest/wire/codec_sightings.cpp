#include "tempest/base/limits.hpp"
#include "tempest/wire/codec.hpp"
#include "tempest/wire/failure_kind.hpp"
#include "tempest/wire/reader.hpp"
#include "tempest/wire/writer.hpp"

namespace tempest::wire {
namespace {

constexpr std::size_t kFields = 18;

void put(const Sighting& sighting, Writer& writer) {
  writer.array(kFields);
  writer.integer(sighting.message);
  writer.integer(static_cast<std::uint64_t>(sighting.kind));
  writer.integer(static_cast<std::uint64_t>(sighting.next));
  writer.integer(static_cast<std::uint64_t>(sighting.failure));
  writer.text(sighting.task);
  writer.text(sighting.peer);
  writer.integer(sighting.delivery);
  writer.integer(sighting.attempt);
  writer.integer(sighting.count);
  writer.integer(sighting.at_us);
  writer.integer(sighting.waited_us);
  writer.integer(sighting.out_us);
  writer.integer(sighting.handled_us);
  writer.integer(sighting.again_us);
  writer.text_cut(sighting.text, kMaxReasonBytes);
  writer.bytes(sighting.key);
  writer.bytes(sighting.payload);
  writer.integer(sighting.payload_bytes);
}

void read(Reader& reader, Sighting& sighting) {
  const std::size_t fields = reader.record(kFields);
  sighting.message = reader.integer();
  sighting.kind = static_cast<Sighting::Kind>(
      reader.integer(static_cast<std::uint64_t>(Sighting::Kind::output)));
  sighting.next = static_cast<Sighting::Next>(
      reader.integer(static_cast<std::uint64_t>(Sighting::Next::leave)));
  sighting.failure = read_failure_kind(reader);
  sighting.task = reader.name();
  sighting.peer = reader.name();
  sighting.delivery = reader.integer();
  sighting.attempt = static_cast<std::uint32_t>(reader.integer(UINT32_MAX));
  sighting.count = reader.integer();
  sighting.at_us = reader.integer();
  sighting.waited_us = reader.integer();
  sighting.out_us = reader.integer();
  sighting.handled_us = reader.integer();
  sighting.again_us = reader.integer();
  sighting.text = reader.bytes(kMaxReasonBytes);
  sighting.key = reader.bytes(kMaxPayloadBytes);
  sighting.payload = reader.bytes(kMaxPayloadBytes);
  sighting.payload_bytes = reader.integer();
  reader.skip(fields - kFields);
}

}  // namespace

void encode(const Sightings& sightings, std::string& frame) {
  frame.clear();
  Writer writer(frame);
  writer.array(10);
  writer.integer(static_cast<std::uint64_t>(FrameType::sightings));
  writer.integer(kProtocolVersion);
  writer.text(sightings.node);
  writer.integer(static_cast<std::uint64_t>(sightings.role));
  writer.text(sightings.topology);
  writer.incarnation(sightings.incarnation);
  writer.integer(sightings.sequence);
  writer.integer(sightings.seen);
  writer.integer(sightings.left_out);
  writer.array(sightings.sightings.size());
  for (const Sighting& sighting : sightings.sightings) put(sighting, writer);
}

Result<void> decode(std::string_view frame, Sightings& sightings) {
  Reader reader(frame);
  const std::size_t fields = reader.record(10);
  if (reader.integer() != static_cast<std::uint64_t>(FrameType::sightings)) {
    reader.fail("a frame of another type");
  }
  if (reader.integer() != kProtocolVersion) reader.fail("sightings of another protocol version");
  sightings.node = reader.name();
  sightings.role = static_cast<Role>(reader.integer(static_cast<std::uint64_t>(Role::operator_)));
  sightings.topology = reader.name();
  sightings.incarnation = reader.incarnation();
  sightings.sequence = reader.integer();
  sightings.seen = reader.integer();
  sightings.left_out = reader.integer();
  const std::size_t count = reader.array(kMaxFrameItems);
  sightings.sightings.clear();
  for (std::size_t i = 0; i < count && reader.ok(); ++i) {
    read(reader, sightings.sightings.emplace_back());
  }
  reader.skip(fields - 10);
  return reader.finish();
}

}  // namespace tempest::wire
