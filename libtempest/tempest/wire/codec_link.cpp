#include <cassert>

#include "tempest/wire/codec.hpp"
#include "tempest/wire/reader.hpp"
#include "tempest/wire/writer.hpp"

namespace tempest::wire {
namespace {

/// An empty frame to write a header to.
std::string& emptied(std::string& frame) {
  frame.clear();
  return frame;
}

/// The head of a frame's record, and its type.
void start(FrameType type, std::size_t fields, Writer& writer) {
  writer.array(fields);
  writer.integer(static_cast<std::uint64_t>(type));
}

/// The head of a frame's record and its type, which must be this one. Returns as Reader::record.
std::size_t expect(FrameType type, std::size_t fields, Reader& reader) {
  const std::size_t count = reader.record(fields);
  if (reader.integer() != static_cast<std::uint64_t>(type)) reader.fail("a frame of another type");
  return count;
}

// The type, the protocol's version and the HELLO's number stand in front in every version, so that
// another version can be turned down by name.
constexpr std::size_t kFieldsOfAnyVersion = 3;
constexpr std::size_t kHelloFields = 10;
constexpr std::size_t kWelcomeFields = 9;

/// Returns how many fields there are to reckon with: as Reader::record, for a count that was read.
std::size_t at_least(std::size_t minimum, std::size_t fields, Reader& reader) {
  if (fields >= minimum) return fields;
  reader.fail("fields are missing");
  return minimum;
}

Role read_role(Reader& reader) {
  return static_cast<Role>(reader.integer(static_cast<std::uint64_t>(Role::operator_)));
}

bool is_body_kind(std::uint64_t value) {
  switch (static_cast<BodyKind>(value)) {
    case BodyKind::registration:
    case BodyKind::directory:
    case BodyKind::slot_settlement:
    case BodyKind::query:
    case BodyKind::snapshot:
    case BodyKind::watch:
    case BodyKind::attach:
    case BodyKind::window:
    case BodyKind::messages:
    case BodyKind::outcomes:
    case BodyKind::deliveries:
    case BodyKind::results:
      return true;
  }
  return false;
}

void put_fixed(std::uint64_t value, char* to) {
  to[0] = '\xcf';
  for (int i = 0; i < 8; ++i) to[1 + i] = static_cast<char>(value >> (56 - 8 * i));
}

}  // namespace

void encode(const Hello& hello, std::string& frame) {
  Writer writer(emptied(frame));
  start(FrameType::hello, kHelloFields, writer);
  writer.integer(hello.protocol);
  writer.integer(hello.hello);
  writer.integer(static_cast<std::uint64_t>(hello.role));
  writer.text(hello.name);
  writer.incarnation(hello.incarnation);
  writer.text(hello.topology);
  writer.integer(hello.lease_ms);
  writer.text(hello.wanted_name);
  writer.incarnation(hello.wanted_incarnation);
}

Result<void> decode(std::string_view frame, Hello& hello) {
  Reader reader(frame);
  std::size_t fields = expect(FrameType::hello, kFieldsOfAnyVersion, reader);
  hello = {};
  hello.protocol = reader.integer();
  hello.hello = reader.integer();
  if (hello.protocol != kProtocolVersion) {
    reader.skip(fields - kFieldsOfAnyVersion);
    return reader.finish();
  }
  fields = at_least(kHelloFields, fields, reader);
  hello.role = read_role(reader);
  hello.name = reader.name();
  hello.incarnation = reader.incarnation();
  hello.topology = reader.name();
  hello.lease_ms = reader.integer();
  hello.wanted_name = reader.name();
  hello.wanted_incarnation = reader.incarnation();
  reader.skip(fields - kHelloFields);
  return reader.finish();
}

void encode(const Welcome& welcome, std::string& frame) {
  Writer writer(emptied(frame));
  start(FrameType::welcome, kWelcomeFields, writer);
  writer.integer(welcome.protocol);
  writer.integer(welcome.hello);
  writer.integer(welcome.session);
  writer.integer(static_cast<std::uint64_t>(welcome.role));
  writer.text(welcome.name);
  writer.incarnation(welcome.incarnation);
  writer.integer(welcome.lease_ms);
  writer.text(welcome.topology);
}

Result<void> decode(std::string_view frame, Welcome& welcome) {
  Reader reader(frame);
  std::size_t fields = expect(FrameType::welcome, kFieldsOfAnyVersion, reader);
  welcome = {};
  welcome.protocol = reader.integer();
  welcome.hello = reader.integer();
  if (welcome.protocol != kProtocolVersion) {
    reader.skip(fields - kFieldsOfAnyVersion);
    return reader.finish();
  }
  fields = at_least(kWelcomeFields, fields, reader);
  welcome.session = reader.integer();
  welcome.role = read_role(reader);
  welcome.name = reader.name();
  welcome.incarnation = reader.incarnation();
  welcome.lease_ms = reader.integer();
  welcome.topology = reader.name();
  reader.skip(fields - kWelcomeFields);
  return reader.finish();
}

void encode(const Heartbeat& heartbeat, std::string& frame) {
  Writer writer(emptied(frame));
  start(FrameType::heartbeat, 4, writer);
  writer.integer(heartbeat.session);
  writer.integer(heartbeat.ack);
  writer.boolean(heartbeat.missing);
}

Result<void> decode(std::string_view frame, Heartbeat& heartbeat) {
  Reader reader(frame);
  const std::size_t fields = expect(FrameType::heartbeat, 4, reader);
  heartbeat.session = reader.integer();
  heartbeat.ack = reader.integer();
  heartbeat.missing = reader.boolean();
  reader.skip(fields - 4);
  return reader.finish();
}

void encode(const Reset& reset, std::string& frame) {
  Writer writer(emptied(frame));
  start(FrameType::reset, 2, writer);
  writer.integer(reset.session);
}

Result<void> decode(std::string_view frame, Reset& reset) {
  Reader reader(frame);
  const std::size_t fields = expect(FrameType::reset, 2, reader);
  reset.session = reader.integer();
  reader.skip(fields - 2);
  return reader.finish();
}

void encode(const Bye& bye, std::string& frame) {
  Writer writer(emptied(frame));
  start(FrameType::bye, 3, writer);
  writer.integer(bye.session);
  writer.text_cut(bye.reason, kMaxReasonBytes);
}

Result<void> decode(std::string_view frame, Bye& bye) {
  Reader reader(frame);
  const std::size_t fields = expect(FrameType::bye, 3, reader);
  bye.session = reader.integer();
  bye.reason = reader.bytes(kMaxReasonBytes);
  reader.skip(fields - 3);
  return reader.finish();
}

Result<FrameType> peek_type(std::string_view frame) {
  Reader reader(frame);
  reader.record(1);
  const std::uint64_t type = reader.integer(static_cast<std::uint64_t>(FrameType::sightings));
  if (type == 0) reader.fail("a frame of no known type");
  if (!reader.ok()) return reader.result().error();
  return static_cast<FrameType>(type);
}

void begin_data(BodyKind kind, std::string& frame) {
  frame.assign(kDataHeaderBytes, '\0');
  frame[0] = '\x95';
  frame[1] = static_cast<char>(FrameType::data);
  finish_data({0, 0, 0, kind}, frame);
}

void finish_data(const DataHeader& header, std::string& frame) {
  assert(frame.size() >= kDataHeaderBytes);
  put_fixed(header.session, frame.data() + 2);
  put_fixed(header.sequence, frame.data() + 11);
  put_fixed(header.ack, frame.data() + 20);
  frame[29] = static_cast<char>(header.kind);
}

Result<void> decode(std::string_view frame, DataHeader& header, std::string_view& body) {
  Reader reader(frame);
  const std::size_t fields = expect(FrameType::data, 5, reader);
  header.session = reader.integer();
  header.sequence = reader.integer();
  header.ack = reader.integer();
  const std::uint64_t kind = reader.integer(UINT8_MAX);
  if (!is_body_kind(kind)) reader.fail("a body of no known kind");
  header.kind = static_cast<BodyKind>(kind);
  reader.skip(fields - 5);
  body = reader.rest();
  if (body.empty()) reader.fail("a data frame without a body");
  return reader.result();
}

}  // namespace tempest::wire
