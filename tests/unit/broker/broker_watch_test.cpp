// What operators watch: from their session at a broker to the nodes' directories, and its end.

#include <catch2/catch.hpp>

#include "tempest/base/random.hpp"
#include "tempest/link/client.hpp"
#include "tempest/wire/codec.hpp"
#include "world.hpp"

using namespace tempest;
using namespace tempest::broker;
using namespace std::chrono_literals;

namespace {

/// An operator's link to one broker of a world.
class Operator {
 public:
  Operator(World& world, std::string broker, std::uint32_t watch, Role role = Role::operator_)
      : world_(world),
        broker_(std::move(broker)),
        routing_id_("operator#" + std::to_string(watch)),
        client_({role, "operator-" + std::to_string(watch), {9, watch}, {}}, {},
                Random(watch).next()) {
    wanted.id = watch;
    wanted.topology = "count";
  }

  void run(Duration duration) {
    for (Duration passed{}; passed < duration; passed += 10ms) {
      link::Output output;
      client_.turn(world_.now(), output);
      take(output);
      for (const SharedBytes& frame : world_.take_raw(routing_id_)) {
        link::Output answer;
        client_.receive(frame.view(), world_.now(), answer);
        take(answer);
      }
      world_.run(10ms);
    }
  }
  void close() {
    link::Output output;
    client_.close("enough", world_.now(), output);
    take(output);
    world_.run(100ms);
  }

  wire::Watch wanted;
  int lost = 0;

 private:
  void take(link::Output& output) {
    for (std::size_t i = 0; i < output.events.size(); ++i) {
      const link::Event event = output.events[i];
      if (event.kind == link::Event::Kind::lost) ++lost;
      if (event.kind != link::Event::Kind::up) continue;
      client_.send(wire::BodyKind::watch, wire::data_frame(wanted), world_.now(), output);
    }
    for (link::Outgoing& outgoing : output.frames) {
      world_.send_raw(broker_, routing_id_, std::move(outgoing.frame));
    }
  }

  World& world_;
  std::string broker_;
  std::string routing_id_;
  link::Client client_;
};

std::vector<std::uint32_t> watched(const World::Node& node) {
  std::vector<std::uint32_t> ids;
  for (const wire::Watch& watch : node.directory().watches) ids.push_back(watch.id);
  return ids;
}

using Ids = std::vector<std::uint32_t>;

}  // namespace

TEST_CASE(
    "what an operator watches is told to the nodes of that topology, as long as he is there") {
  World world;
  world.start_broker("b");
  auto& source = world.start_node(Role::source, "source", "count", {"b"});
  auto& other = world.start_node(Role::source, "other", "sums", {"b"});
  world.run(1s);
  Operator first(world, "b", 1);
  Operator second(world, "b", 2);
  first.wanted.text = "needle";
  first.run(500ms);
  REQUIRE(watched(source) == Ids{1});
  CHECK(source.directory().watches[0].text == "needle");
  CHECK(watched(other).empty());
  second.run(500ms);
  CHECK(watched(source) == Ids{1, 2});
  first.close();
  CHECK(watched(source) == Ids{2});

  SECTION("an operator that dies without a word is given up with his lease") {
    world.run(World::kLease + 1s);
    CHECK(watched(source).empty());
  }
  SECTION("a node that comes later is told") {
    auto& late = world.start_node(Role::task, "late", "count", {"b"});
    second.run(500ms);
    CHECK(watched(late) == Ids{2});
  }
  SECTION("a broker that dies takes it along, and its successor is told again") {
    world.kill_broker("b");
    world.run(World::kLease + 1s);
    CHECK(watched(source).empty());
    world.start_broker("b");
    second.run(World::kLease + 3s);
    CHECK(watched(source) == Ids{2});
  }
  SECTION("a broker that is back at once is told again as well") {
    world.kill_broker("b");
    second.run(GENERATE(10ms, 1s, 2900ms, 3100ms));
    world.start_broker("b");
    second.run(World::kLease + 1s);
    CHECK(watched(source) == Ids{2});
  }
}

TEST_CASE("a watch that comes by way of two brokers is one, until both have lost it") {
  World world;
  world.start_broker("b1");
  world.start_broker("b2");
  auto& source = world.start_node(Role::source, "source", "count", {"b1", "b2"});
  world.run(1s);
  Operator to_first(world, "b1", 1);
  Operator to_second(world, "b2", 1);
  to_first.run(500ms);
  to_second.run(500ms);
  CHECK(watched(source) == Ids{1});
  to_first.close();
  CHECK(watched(source) == Ids{1});
  to_second.close();
  CHECK(watched(source).empty());
}

TEST_CASE("no more is watched at once than the bound, and the next takes the place that is free") {
  World world;
  world.start_broker("b");
  auto& source = world.start_node(Role::source, "source", "count", {"b"});
  world.run(1s);
  std::vector<std::unique_ptr<Operator>> operators;
  for (std::uint32_t i = 1; i <= BrokerMachine::kMaxWatches + 1; ++i) {
    operators.push_back(std::make_unique<Operator>(world, "b", i));
    operators.back()->run(100ms);
  }
  CHECK(watched(source).size() == BrokerMachine::kMaxWatches);
  operators[0]->close();
  CHECK(watched(source).size() == BrokerMachine::kMaxWatches);
  CHECK(watched(source).back() == BrokerMachine::kMaxWatches + 1);
}

TEST_CASE("a watch of a node that is no operator, or without a number, ends its session") {
  World world;
  world.start_broker("b");
  auto& source = world.start_node(Role::source, "source", "count", {"b"});
  world.run(1s);
  const auto role = GENERATE(Role::operator_, Role::task);
  Operator wrong(world, "b", 1, role);
  if (role == Role::operator_) wrong.wanted.id = 0;
  wrong.run(500ms);
  CHECK(wrong.lost > 0);
  CHECK(watched(source).empty());
  CHECK(world.broker("b").machine->counters().malformed_bodies > 0);
}
