#include "trace.hpp"

#include <iomanip>
#include <sstream>

#include "tempest/wire/codec.hpp"

namespace tempest::sim {

namespace {

constexpr const char* kTypes[] = {"?", "HELLO", "WELCOME", "DATA", "HEARTBEAT", "RESET", "BYE"};

const char* name_of(wire::BodyKind kind) {
  switch (kind) {
    case wire::BodyKind::registration:
      return "registration";
    case wire::BodyKind::directory:
      return "directory";
    case wire::BodyKind::slot_settlement:
      return "slot_settlement";
    case wire::BodyKind::query:
      return "query";
    case wire::BodyKind::snapshot:
      return "snapshot";
    case wire::BodyKind::watch:
      return "watch";
    case wire::BodyKind::attach:
      return "attach";
    case wire::BodyKind::window:
      return "window";
    case wire::BodyKind::messages:
      return "messages";
    case wire::BodyKind::outcomes:
      return "outcomes";
    case wire::BodyKind::deliveries:
      return "deliveries";
    case wire::BodyKind::results:
      return "results";
  }
  return "a body unknown here";
}

void describe_body(wire::BodyKind kind, std::string_view body, std::ostream& text) {
  if (kind == wire::BodyKind::messages) {
    wire::Messages messages;
    if (!wire::decode(body, messages)) return;
    for (const auto& item : messages.items) {
      text << " " << item.id.slot << "/" << item.id.generation << "=" << item.payload.substr(0, 20);
    }
  } else if (kind == wire::BodyKind::outcomes) {
    wire::Outcomes outcomes;
    if (!wire::decode(body, outcomes)) return;
    for (const auto& id : outcomes.acked) text << " ack " << id.slot << "/" << id.generation;
    for (const auto& failed : outcomes.failed) {
      text << " fail " << failed.id.slot << "/" << failed.id.generation << " ("
           << wire::to_string(failed.kind) << ": " << failed.reason << ")";
    }
    for (const auto& id : outcomes.returned) text << " back " << id.slot << "/" << id.generation;
  } else if (kind == wire::BodyKind::deliveries) {
    wire::Deliveries deliveries;
    if (!wire::decode(body, deliveries)) return;
    for (const auto& item : deliveries.items) {
      text << " " << item.id.slot << "/" << item.id.generation << ":" << static_cast<int>(item.task)
           << "#" << item.attempt << "=" << deliveries.parts[item.first_part].payload.substr(0, 20);
    }
  } else if (kind == wire::BodyKind::results) {
    wire::Results results;
    if (!wire::decode(body, results)) return;
    for (const auto& item : results.items) {
      text << " " << item.id.slot << "/" << item.id.generation << ":"
           << "dRFbsx"[static_cast<std::size_t>(item.status)] << item.output_count;
    }
  } else if (kind == wire::BodyKind::window) {
    wire::Window window;
    if (wire::decode(body, window)) text << " " << window.messages << " " << window.bytes;
  } else if (kind == wire::BodyKind::directory) {
    wire::Directory directory;
    if (!wire::decode(body, directory)) return;
    text << " slots " << directory.slots_revision << " settled " << directory.slots_settled;
    for (const auto& coordinator : directory.coordinators) text << " " << coordinator.name;
    for (const auto& worker : directory.workers) text << " " << worker.name;
  }
}

}  // namespace

void Trace::line(TimePoint now, std::string_view where, std::string_view what) {
  if (lines_ == nullptr) return;
  *lines_ << std::fixed << std::setprecision(6) << std::setw(11)
          << static_cast<double>(now.time_since_epoch().count()) / 1e9 << "  " << std::left
          << std::setw(13) << where << std::right << " " << what << "\n";
}

std::string describe_frame(std::string_view frame) {
  const auto type = wire::peek_type(frame);
  if (!type) return "garbage";
  std::ostringstream text;
  text << kTypes[static_cast<std::size_t>(*type) % 7];
  wire::DataHeader data;
  std::string_view body;
  wire::Heartbeat heartbeat;
  wire::Hello hello;
  wire::Welcome welcome;
  if (*type == wire::FrameType::data && wire::decode(frame, data, body)) {
    text << " " << std::hex << (data.session >> 48) << std::dec << " " << data.sequence << " ack "
         << data.ack << " " << name_of(data.kind);
    describe_body(data.kind, body, text);
  } else if (*type == wire::FrameType::heartbeat && wire::decode(frame, heartbeat)) {
    text << " " << std::hex << (heartbeat.session >> 48) << std::dec << " ack " << heartbeat.ack
         << (heartbeat.missing ? " missing" : "");
  } else if (*type == wire::FrameType::hello && wire::decode(frame, hello)) {
    text << " " << std::hex << (hello.hello >> 48) << " of " << hello.name;
  } else if (*type == wire::FrameType::welcome && wire::decode(frame, welcome)) {
    text << " " << std::hex << (welcome.hello >> 48) << " session " << (welcome.session >> 48);
  }
  return text.str();
}

}  // namespace tempest::sim
