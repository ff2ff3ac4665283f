#include "tempest/link/client.hpp"

#include <algorithm>
#include <utility>

#include "tempest/link/header_frame.hpp"
#include "tempest/link/mismatch.hpp"

namespace tempest::link {
namespace {

constexpr const char* kWrongProtocol = "it speaks another protocol version";

}  // namespace

Client::Client(Identity self, const Settings& settings, std::uint64_t seed, Wanted wanted)
    : self_(std::move(self)),
      settings_(settings),
      wanted_(std::move(wanted)),
      // The incarnation goes in as well: a fixed seed must not give two lives the same numbers.
      random_(seed ^ self_.incarnation.low),
      hello_(random_.next()),
      peer_(std::make_shared<const Identity>()),
      last_refusal_(std::make_shared<const std::string>()) {}

void Client::want(Wanted wanted, TimePoint now) {
  if (wanted == wanted_) return;
  wanted_ = std::move(wanted);
  refusal_told_ = false;
  if (session_) return;
  // Another number: the answers to what was asked before are no answers to this.
  hello_ = random_.next();
  hello_at_ = std::min(hello_at_, now);
}

void Client::send(wire::BodyKind kind, std::string frame, TimePoint now, Output& output) {
  if (!session_) return;
  if (frame.size() > kMaxFrameBytes) {
    ++counters_.oversize;
    return;
  }
  put(session_->send(kind, std::move(frame), now), output);
}

void Client::reset(TimePoint now, Output& output) {
  if (!session_) return;
  put(header_frame(wire::Reset{session_->id()}), output);
  // Whatever made it malformed may do so again: not without a pause.
  lose(LostReason::malformed, now + settings_.heartbeat_interval, output);
}

void Client::receive(std::string_view frame, TimePoint now, Output& output) {
  if (closed_) return;
  ++counters_.frames_received;
  const Result<wire::FrameType> type = wire::peek_type(frame);
  if (!type) {
    ++counters_.malformed;
    return;
  }
  switch (*type) {
    case wire::FrameType::welcome:
      return receive_welcome(frame, now, output);
    case wire::FrameType::data:
      return receive_data(frame, now, output);
    case wire::FrameType::heartbeat:
      return receive_heartbeat(frame, now, output);
    case wire::FrameType::reset:
      return receive_reset(frame, now, output);
    case wire::FrameType::bye:
      return receive_bye(frame, now, output);
    case wire::FrameType::hello:  // For an accepter.
    case wire::FrameType::stats:
    case wire::FrameType::sightings:
      break;
  }
  ++counters_.malformed;
}

void Client::receive_welcome(std::string_view frame, TimePoint now, Output& output) {
  wire::Welcome welcome;
  if (!wire::decode(frame, welcome)) {
    ++counters_.malformed;
    return;
  }
  if (welcome.hello != hello_) {
    ++counters_.stale;
    return;
  }
  if (session_) {
    // One more answer to one more HELLO. From another incarnation it means that the peer was
    // started anew while that HELLO was on its way: the session's frames would reach a stranger.
    if (welcome.session == session_->id()) return session_->touch(now);
    return lose(LostReason::incarnation, now, output);
  }
  if (welcome.protocol != wire::kProtocolVersion) return refused(kWrongProtocol, now, output);
  if (std::string fault = fault_of(welcome); !fault.empty()) {
    put(header_frame(wire::Bye{welcome.session, fault}), output);
    return refused(std::move(fault), now, output);
  }
  refusal_told_ = false;
  peer_ = std::make_shared<const Identity>(Identity{
      welcome.role, std::string(welcome.name), welcome.incarnation, std::string(welcome.topology)});
  session_.emplace(welcome.session, settings_, lease_from_ms(welcome.lease_ms), now);
  up_since_ = now;
  Event& event = output.events.emplace_back();
  event.kind = Event::Kind::up;
  event.identity = peer_;
}

void Client::receive_data(std::string_view frame, TimePoint now, Output& output) {
  wire::DataHeader header;
  std::string_view body;
  if (!wire::decode(frame, header, body)) {
    ++counters_.malformed;
    return;
  }
  if (!session_ || header.session != session_->id()) return disown(header.session, output);
  switch (session_->receive_data(header, now)) {
    case Session::Arrival::in_order: {
      Event& event = output.events.emplace_back();
      event.kind = Event::Kind::body;
      event.body_kind = header.kind;
      event.body = body;
      break;
    }
    case Session::Arrival::duplicate:
      ++counters_.duplicate;
      break;
    case Session::Arrival::out_of_order:
      ++counters_.out_of_order;
      break;
  }
}

void Client::receive_heartbeat(std::string_view frame, TimePoint now, Output& output) {
  wire::Heartbeat heartbeat;
  if (!wire::decode(frame, heartbeat)) {
    ++counters_.malformed;
    return;
  }
  if (!session_ || heartbeat.session != session_->id()) return disown(heartbeat.session, output);
  session_->receive_heartbeat(heartbeat, now);
}

void Client::receive_reset(std::string_view frame, TimePoint now, Output& output) {
  wire::Reset reset;
  if (!wire::decode(frame, reset)) {
    ++counters_.malformed;
    return;
  }
  if (session_ && reset.session == session_->id()) {
    // At once, unless it was hardly begun: two nodes must not open and reset without a pause.
    return lose(LostReason::reset, std::max(now, up_since_ + settings_.hello_interval), output);
  }
  if (!session_ && reset.session == hello_) {
    // The number is somebody else's. Not at once, lest two nodes exchange these without a pause.
    hello_ = random_.next();
    hello_at_ = now + settings_.hello_interval;
    return;
  }
  ++counters_.stale;
}

void Client::receive_bye(std::string_view frame, TimePoint now, Output& output) {
  wire::Bye bye;
  if (!wire::decode(frame, bye)) {
    ++counters_.malformed;
    return;
  }
  if (session_ && bye.session == session_->id()) {
    return lose(LostReason::left, now + settings_.hello_interval, output);
  }
  if (!session_ && bye.session == hello_) {
    return refused(std::string(bye.reason), now, output);
  }
  ++counters_.stale;
}

std::string Client::fault_of(const wire::Welcome& welcome) const {
  if (wanted_.role && welcome.role != *wanted_.role) {
    return std::string("a ") + to_string(*wanted_.role) + " was meant, and " +
           std::string(welcome.name) + " is a " + to_string(welcome.role);
  }
  return mismatch(
      {.name = wanted_.name, .incarnation = wanted_.incarnation, .topology = self_.topology},
      {.name = welcome.name, .incarnation = welcome.incarnation, .topology = welcome.topology});
}

void Client::refused(std::string reason, TimePoint now, Output& output) {
  ++counters_.refused;
  // Nothing will be different in a moment.
  hello_ = random_.next();
  hello_at_ = now + std::max(settings_.hello_interval, settings_.heartbeat_interval);
  if (refusal_told_ && reason == *last_refusal_) return;
  refusal_told_ = true;
  last_refusal_ = std::make_shared<const std::string>(std::move(reason));
  Event& event = output.events.emplace_back();
  event.kind = Event::Kind::refused;
  event.text = last_refusal_;
}

void Client::disown(std::uint64_t session, Output& output) {
  ++counters_.stale;
  // Until welcomed, it may be the session that is being opened: its frames will come again.
  if (session_) put(header_frame(wire::Reset{session}), output);
}

void Client::turn(TimePoint now, Output& output) {
  if (closed_) return;
  if (session_ && session_->lease_over(now)) {
    ++counters_.leases_lost;
    lose(LostReason::lease, now, output);
  }
  if (!session_) {
    if (now >= hello_at_) say_hello(now, output);
    return;
  }
  session_->turn(now, due_, counters_);
  for (SharedBytes& frame : due_) put(std::move(frame), output);
  due_.clear();
}

TimePoint Client::next_turn() const {
  if (closed_) return kNever;
  return session_ ? session_->next_turn() : hello_at_;
}

void Client::close(std::string_view reason, TimePoint now, Output& output) {
  if (closed_) return;
  if (session_) {
    put(header_frame(wire::Bye{session_->id(), reason}), output);
    lose(LostReason::closed, now, output);
  }
  closed_ = true;
}

void Client::put(SharedBytes frame, Output& output) {
  ++counters_.frames_sent;
  output.frames.push_back({{}, std::move(frame)});
}

void Client::say_hello(TimePoint now, Output& output) {
  wire::Hello hello;
  hello.hello = hello_;
  hello.role = self_.role;
  hello.name = self_.name;
  hello.incarnation = self_.incarnation;
  hello.topology = self_.topology;
  hello.lease_ms = static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(settings_.lease).count());
  hello.wanted_name = wanted_.name;
  hello.wanted_incarnation = wanted_.incarnation;
  put(header_frame(hello), output);
  hello_at_ = now + settings_.hello_interval;
}

void Client::lose(LostReason reason, TimePoint hello_at, Output& output) {
  session_.reset();
  hello_ = random_.next();
  hello_at_ = hello_at;
  Event& event = output.events.emplace_back();
  event.kind = Event::Kind::lost;
  event.identity = peer_;
  event.reason = reason;
}

}  // namespace tempest::link
