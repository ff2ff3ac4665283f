#include <catch2/catch.hpp>

#include "broker/broker_machine.hpp"
#include "tempest/link/client.hpp"
#include "tempest/wire/codec.hpp"

using namespace tempest;
using namespace std::chrono_literals;

namespace {

/// A worker that registers with what the test says, and notes the directory.
struct RawNode {
  explicit RawNode(broker::BrokerMachine& its_broker, const std::string& name)
      : broker(its_broker),
        routing_id(name + "#1"),
        client({Role::task, name, {1, name.size()}, "t"}, {}, name.size()) {}

  void say(std::uint64_t slots_revision, TimePoint now) {
    wire::Registration registration;
    registration.slots_revision = slots_revision;
    exchange(now);
    client.send(wire::BodyKind::registration, wire::data_frame(registration), now, output);
    exchange(now);
  }

  void exchange(TimePoint now) {
    for (int round = 0; round < 5; ++round) {
      client.turn(now, output);
      link::Effects effects;
      for (auto& outgoing : std::exchange(output.frames, {})) {
        broker.receive({link::kListener, routing_id, outgoing.frame}, now, effects);
      }
      broker.turn(now, effects);
      for (auto& send : effects.sends) {
        if (send.routing_id == routing_id) client.receive(send.frame.view(), now, output);
        for (const link::Event& event : std::exchange(output.events, {})) {
          wire::Directory directory;
          if (event.kind == link::Event::Kind::body && wire::decode(event.body, directory)) {
            known = directory.slots_revision;
          }
        }
      }
    }
  }

  broker::BrokerMachine& broker;
  std::string routing_id;
  link::Client client;
  link::Output output;
  std::uint64_t known = 0;
};

}  // namespace

TEST_CASE("a numbering of slots that begins beyond all reason, or leaps, is none") {
  broker::BrokerMachine broker({Role::broker, "broker", {3, 4}, ""}, {});
  TimePoint now{1s};
  broker.start(now);
  RawNode first(broker, "w");
  RawNode second(broker, "other");
  const auto pass = [&](Duration time) {
    for (const TimePoint end = now + time; now < end; now += 100ms) {
      first.exchange(now);
      second.exchange(now);
    }
  };
  first.say(1ULL << 62, now);
  pass(30s);
  CHECK(first.known > 0);
  CHECK(first.known < 100);
  second.say(1ULL << 40, now);
  pass(1s);
  CHECK(second.known > 0);
  CHECK(second.known < 100);
  second.say(5'000, now);
  pass(1s);
  CHECK(second.known >= 5'000);
}
