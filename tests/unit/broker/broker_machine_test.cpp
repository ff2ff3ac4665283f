#include "broker/broker_machine.hpp"

#include <catch2/catch.hpp>

#include "tempest/wire/codec.hpp"
#include "world.hpp"

using namespace tempest;
using namespace tempest::broker;
using namespace std::chrono_literals;
using Names = std::vector<std::string>;

namespace {

const Names kOneBroker{"a"};

registry::Registration coordinator(const std::string& endpoint, const std::string& version = "v1") {
  return {endpoint, version, "name = \"count\" # " + version, {}, "running"};
}

registry::Registration worker(Names tasks = {"split"}) {
  return {"", "v1", "", std::move(tasks), "running"};
}

/// One broker, a source, two coordinators and three workers, all registered.
struct Running : World {
  Running() {
    start_broker("a");
    start_node(Role::source, "source", "count", kOneBroker);
    start_node(Role::pipeline, "c1", "count", kOneBroker, coordinator("tcp://c1:1"));
    start_node(Role::pipeline, "c2", "count", kOneBroker, coordinator("tcp://c2:1"));
    for (const char* name : {"w1", "w2", "w3"}) {
      start_node(Role::task, name, "count", kOneBroker, worker());
    }
    REQUIRE(run_until([&] { return all_see(Names{"w1", "w2", "w3"}); }));
    settle_all();
  }

  bool all_see(const Names& workers) {
    return node("source").workers() == workers && node("c1").workers() == workers &&
           node("c2").workers() == workers;
  }
  bool settled() {
    const auto& directory = node("source").directory();
    return directory.slots_settled == directory.slots_revision;
  }
  void settle_all() {
    for (const char* name : {"c1", "c2"}) {
      settle_slots(node(name), node(name).directory().slots_revision);
    }
    REQUIRE(run_until([&] { return settled(); }));
  }
};

/// An operator with a link of its own.
struct Operator {
  explicit Operator(World& world)
      : world_(world),
        client_({Role::operator_, "operator", Incarnation{9, 9}, {}}, link::Settings{}, 99) {}

  bool ask(const std::string& what, const std::string& topology = {}) {
    wire::Query query;
    query.id = 7;
    query.what = what;
    query.topology = topology;
    answered_ = false;
    bool asked = false;
    return world_.run_until([&] {
      link::Output output;
      for (const SharedBytes& frame : world_.take_raw("operator")) {
        client_.receive(frame.view(), world_.now(), output);
        take(output);
      }
      client_.turn(world_.now(), output);
      if (client_.is_up() && !asked) {
        asked = true;
        client_.send(wire::BodyKind::query, wire::data_frame(query), world_.now(), output);
      }
      for (auto& outgoing : output.frames) world_.send_raw("a", "operator", outgoing.frame);
      return answered_;
    });
  }
  /// "role name state" of each node.
  const Names& nodes() const { return nodes_; }
  std::uint64_t id() const { return id_; }

 private:
  void take(link::Output& output) {
    for (const link::Event& event : output.events) {
      if (event.kind != link::Event::Kind::body) continue;
      wire::Snapshot snapshot;
      REQUIRE(wire::decode(event.body, snapshot));
      id_ = snapshot.id;
      nodes_.clear();
      for (const auto& node : snapshot.nodes) {
        nodes_.push_back(std::string(to_string(node.role)) + " " + std::string(node.name) + " " +
                         std::string(node.state));
      }
      answered_ = true;
    }
    output.events.clear();
  }

  World& world_;
  link::Client client_;
  bool answered_ = false;
  Names nodes_;
  std::uint64_t id_ = 0;
};

}  // namespace

TEST_CASE("every node of a topology is told of its coordinators, workers and definition") {
  Running world;
  for (const char* name : {"source", "c1", "c2", "w1"}) {
    const registry::Directory& directory = world.node(name).directory();
    CHECK(directory.topology == "count");
    CHECK(directory.topology_version == "v1");
    CHECK(directory.topology_text == "name = \"count\" # v1");
    REQUIRE(directory.coordinators.size() == 2);
    CHECK(directory.coordinators[0].name == "c1");
    CHECK(directory.coordinators[0].endpoint == "tcp://c1:1");
    CHECK(directory.coordinators[1].endpoint == "tcp://c2:1");
    REQUIRE(directory.workers.size() == 3);
    CHECK(directory.workers[0].tasks == Names{"split"});
  }
}

TEST_CASE("a node is told nothing of another topology") {
  Running world;
  auto& other = world.start_node(Role::source, "other", "words", kOneBroker);
  REQUIRE(world.run_until([&] { return other.member->has_directory(); }));
  CHECK(other.directory().coordinators.empty());
  CHECK(other.directory().topology_text.empty());
}

TEST_CASE("a killed worker leaves the list when its lease is over, and the revision rises") {
  Running world;
  const std::uint64_t before = world.node("c1").directory().slots_revision;
  world.kill_node("w2");
  world.run(World::kLease / 2);
  CHECK(world.all_see({"w1", "w2", "w3"}));
  REQUIRE(world.run_until([&] { return world.all_see({"w1", "w3"}); }, 2 * World::kLease));
  CHECK(world.node("c1").directory().slots_revision > before);
}

TEST_CASE("a worker that says goodbye leaves the list at once") {
  Running world;
  world.close(world.node("w3"));
  REQUIRE(world.run_until([&] { return world.all_see({"w1", "w2"}); }, 100ms));
}

TEST_CASE("a worker that serves other tasks, or is started anew, raises the revision") {
  Running world;
  const std::uint64_t first = world.node("c1").directory().slots_revision;
  world.set_registration(world.node("w1"), worker({"split", "count"}));
  REQUIRE(world.run_until([&] { return world.node("c1").directory().slots_revision > first; }));
  CHECK(world.node("c1").directory().workers[0].tasks == Names{"split", "count"});

  const std::uint64_t second = world.node("c1").directory().slots_revision;
  world.start_node(Role::task, "w1", "count", kOneBroker, worker());
  REQUIRE(world.run_until([&] { return world.node("c1").directory().slots_revision > second; }));
  CHECK(world.all_see({"w1", "w2", "w3"}));
}

TEST_CASE("what is no change of the workers leaves the revision alone") {
  Running world;
  const std::uint64_t before = world.node("c1").directory().slots_revision;
  auto draining = worker();
  draining.state = "draining";
  world.set_registration(world.node("w1"), draining);
  world.set_registration(world.node("c1"), coordinator("tcp://c1:2"));
  REQUIRE(world.run_until(
      [&] { return world.node("source").directory().coordinators[0].endpoint == "tcp://c1:2"; }));
  CHECK(world.node("c1").directory().slots_revision == before);
}

TEST_CASE("slots are settled once every live coordinator has let go of them") {
  Running world;
  world.close(world.node("w3"));
  REQUIRE(world.run_until([&] { return world.all_see({"w1", "w2"}); }));
  const std::uint64_t revision = world.node("c1").directory().slots_revision;
  CHECK(world.node("c1").directory().slots_settled < revision);

  world.settle_slots(world.node("c1"), revision);
  world.run(200ms);
  CHECK_FALSE(world.settled());

  SECTION("the other one says so") {
    world.settle_slots(world.node("c2"), revision);
    REQUIRE(world.run_until([&] { return world.settled(); }, 100ms));
  }
  SECTION("the other one dies") {
    world.kill_node("c2");
    CHECK(world.run_until([&] { return world.settled(); }, 2 * World::kLease));
  }
}

TEST_CASE("slots that one coordinator still has in flight are listed, and hold up no others") {
  Running world;
  world.close(world.node("w3"));
  REQUIRE(world.run_until([&] { return world.all_see({"w1", "w2"}); }));
  const std::uint64_t revision = world.node("c1").directory().slots_revision;
  world.settle_slots(world.node("c1"), revision);
  const std::string slots(kKeySlots / 8, '\x01');
  world.report_slots(world.node("c2"), {revision, {{"split", slots}}, {}, {}});
  REQUIRE(world.run_until([&] { return world.settled(); }, 100ms));
  REQUIRE(world.node("c1").directory().held.size() == 1);
  const registry::Directory::Held held = world.node("c1").directory().held.front();
  CHECK(held == registry::Directory::Held{"c2", "split", slots});
  world.settle_slots(world.node("c2"), revision);
  CHECK(world.run_until([&] { return world.node("c1").directory().held.empty(); }, 100ms));
}

TEST_CASE("a worker that has lost its line to the broker stays listed while it is attached") {
  Running world;
  const auto before = world.node("c1").directory();
  for (const char* name : {"c1", "c2"}) {
    world.report_slots(world.node(name), {before.slots_revision, {}, before.workers, {}});
  }
  world.cut("w2", "a");
  world.run(3 * World::kLease);
  CHECK(world.node("c1").directory().workers == before.workers);
  CHECK(world.node("c1").directory().slots_revision == before.slots_revision);
  for (const char* name : {"c1", "c2"}) world.settle_slots(world.node(name), before.slots_revision);
  CHECK(world.run_until([&] { return world.all_see({"w1", "w3"}); }));
}

TEST_CASE("a worker that coordinators miss is listed with how many do") {
  Running world;
  const auto before = world.node("c1").directory();
  const registry::SlotReport::Missing missing{"w2", before.workers[1].incarnation};
  world.report_slots(world.node("c1"), {before.slots_revision, {}, {}, {missing}});
  REQUIRE(world.run_until([&] { return world.node("c2").directory().workers[1].absences == 1; }));
  CHECK(world.node("c2").directory().slots_revision > before.slots_revision);
  // Another life of it is not missed yet.
  world.start_node(Role::task, "w2", "count", kOneBroker, worker());
  REQUIRE(world.run_until([&] { return world.node("c2").directory().workers[1].absences == 0; }));
  world.report_slots(world.node("c1"), {before.slots_revision, {}, {}, {}});
}

TEST_CASE("a report of slots that changes nothing is passed on to nobody") {
  Running world;
  const auto sent = world.broker("a").machine->counters().directories_sent;
  const auto& directory = world.node("c1").directory();
  world.report_slots(world.node("c1"), {directory.slots_revision, {}, directory.workers, {}});
  world.run(1s);
  CHECK(world.broker("a").machine->counters().directories_sent == sent);
}

TEST_CASE("a new coordinator holds no slots up") {
  Running world;
  world.start_node(Role::pipeline, "c3", "count", kOneBroker, coordinator("tcp://c3:1"));
  REQUIRE(world.run_until([&] { return world.node("source").sees_coordinator("c3"); }));
  CHECK(world.settled());
}

TEST_CASE("a coordinator started anew under its name takes the old one's place") {
  Running world;
  const Incarnation before = world.node("source").directory().coordinators[0].incarnation;
  world.start_node(Role::pipeline, "c1", "count", kOneBroker, coordinator("tcp://c1:2"));
  REQUIRE(world.run_until(
      [&] { return world.node("source").directory().coordinators[0].endpoint == "tcp://c1:2"; }));
  const registry::Directory& directory = world.node("source").directory();
  CHECK(directory.coordinators.size() == 2);
  CHECK(directory.coordinators[0].incarnation != before);
  // It has nothing in flight, whatever its former life had.
  CHECK(world.settled());
  for (const auto& notice : world.broker("a").notices) {
    CHECK(notice.find("two live nodes") == std::string::npos);
  }
}

TEST_CASE("two live nodes of one name are warned of") {
  World world;
  world.start_broker("a");
  world.start_node(Role::task, "w", "count", kOneBroker, worker());
  world.run(200ms);
  // The world knows nodes by name, so the second is played by hand.
  link::Client second({Role::task, "w", Incarnation{5, 5}, "count"}, link::Settings{}, 5);
  const auto warned = [&] {
    const auto& notices = world.broker("a").notices;
    return std::any_of(notices.begin(), notices.end(), [](const std::string& notice) {
      return notice.find("two live nodes are both named w") != std::string::npos;
    });
  };
  CHECK(world.run_until([&] {
    link::Output output;
    for (const auto& frame : world.take_raw("second")) {
      second.receive(frame.view(), world.now(), output);
    }
    second.turn(world.now(), output);
    for (auto& outgoing : output.frames) world.send_raw("a", "second", outgoing.frame);
    return warned();
  }));
}

TEST_CASE("the definition of the newest coordinator counts") {
  Running world;
  world.start_node(Role::pipeline, "c0", "count", kOneBroker, coordinator("tcp://c0:1", "v2"));
  REQUIRE(world.run_until([&] { return world.node("w1").directory().topology_version == "v2"; }));

  SECTION("also when an older one says something again") {
    auto registration = coordinator("tcp://c1:1");
    registration.state = "draining";
    world.set_registration(world.node("c1"), registration);
    world.run(200ms);
    CHECK(world.node("w1").directory().topology_version == "v2");
  }
  SECTION("also when it is the last to come back to a restarted broker") {
    world.kill_broker("a");
    world.run(1s);
    const std::size_t directories = world.node("w1").directories.size();
    world.cut("c0", "a");
    world.start_broker("a");
    world.run(1s);
    CHECK(world.node("w1").member->brokers_up() == 1);
    world.mend("c0", "a");
    world.run(3 * World::kLease);
    CHECK(world.node("w1").directory().topology_version == "v2");
    const auto& had = world.node("w1").directories;
    for (std::size_t i = directories; i < had.size(); ++i) CHECK(had[i].topology_version == "v2");
  }
  SECTION("and once it is gone, the next one's") {
    world.close(world.node("c0"));
    CHECK(world.run_until([&] { return world.node("w1").directory().topology_version == "v1"; }));
  }
}

TEST_CASE("a restarted broker takes nothing from what nodes know") {
  Running world;
  const registry::Directory before = world.node("c1").directory();
  world.kill_broker("a");
  world.run(GENERATE(500ms, 10'000ms));
  CHECK(world.node("c1").directory() == before);

  for (const char* name : {"w2", "c2"}) world.cut(name, "a");
  const std::size_t first = world.node("c1").directories.size();
  world.start_broker("a");
  REQUIRE(
      world.run_until([&] { return world.broker("a").machine->counters().registrations >= 4; }));
  world.run(1s);
  // Two have not come back yet.
  CHECK(world.all_see({"w1", "w2", "w3"}));
  CHECK(world.node("source").sees_coordinator("c2"));
  for (const char* name : {"w2", "c2"}) world.mend(name, "a");
  world.run(3 * World::kLease);

  const auto& had = world.node("c1").directories;
  for (std::size_t i = first; i < had.size(); ++i) {
    CHECK(had[i].workers == before.workers);
    CHECK(had[i].coordinators == before.coordinators);
    CHECK(had[i].slots_revision >= before.slots_revision);
  }
}

TEST_CASE("what does not come back to a restarted broker is gone after two leases") {
  Running world;
  const std::uint64_t before = world.node("c1").directory().slots_revision;
  world.kill_broker("a");
  world.run(500ms);
  world.kill_node("w2");
  world.kill_node("c2");
  world.start_broker("a");
  world.run(World::kLease);
  CHECK(world.node("c1").workers() == Names{"w1", "w2", "w3"});
  REQUIRE(world.run_until(
      [&] {
        return world.node("c1").workers() == Names{"w1", "w3"};
      },
      2 * World::kLease));
  CHECK(world.node("c1").directory().slots_revision > before);
  CHECK(world.run_until([&] { return !world.node("source").sees_coordinator("c2"); }, 1s));
}

TEST_CASE("a coordinator that starts while a restarted broker is still told gets no half list") {
  Running world;
  world.kill_broker("a");
  world.run(500ms);
  for (const char* name : {"w2", "w3"}) world.cut(name, "a");
  world.start_broker("a");
  REQUIRE(world.run_until([&] { return world.broker("a").machine->counters().registrations > 0; }));
  auto& late =
      world.start_node(Role::pipeline, "c9", "count", kOneBroker, coordinator("tcp://c9:1"));
  world.run(1s);
  CHECK(late.workers().empty());
  CHECK(late.directory().slots_revision == 0);
  for (const char* name : {"w2", "w3"}) world.mend(name, "a");
  REQUIRE(world.run_until([&] { return late.workers() == Names{"w1", "w2", "w3"}; }));
  CHECK(late.directory().slots_revision == world.node("c1").directory().slots_revision);
}

TEST_CASE("with several brokers a node goes on with one while the other is away") {
  const Names both{"a", "b"};
  World world;
  world.start_broker("a");
  world.start_broker("b");
  auto& source = world.start_node(Role::source, "source", "count", both);
  auto& c1 = world.start_node(Role::pipeline, "c1", "count", both, coordinator("tcp://c1:1"));
  world.start_node(Role::task, "w1", "count", both, worker());
  world.start_node(Role::task, "w2", "count", both, worker());
  REQUIRE(world.run_until([&] { return c1.workers() == Names{"w1", "w2"}; }));
  std::uint64_t revision = c1.directory().slots_revision;

  world.kill_broker("a");
  world.run(2 * World::kLease);
  CHECK(c1.workers() == Names{"w1", "w2"});
  world.start_node(Role::task, "w3", "count", both, worker());
  REQUIRE(world.run_until([&] { return c1.workers() == Names{"w1", "w2", "w3"}; }));
  CHECK(c1.directory().slots_revision > revision);
  revision = c1.directory().slots_revision;

  SECTION("and takes what the first says once that knows everybody again") {
    world.start_broker("a");
    world.run(3 * World::kLease);
    world.kill_broker("b");
    world.run(2 * World::kLease);
    CHECK(c1.workers() == Names{"w1", "w2", "w3"});
    world.close(world.node("w2"));
    REQUIRE(world.run_until([&] { return c1.workers() == Names{"w1", "w3"}; }));
    CHECK(source.directory().slots_revision == c1.directory().slots_revision);
  }
  SECTION("and loses a coordinator that left while the first was away") {
    world.close(c1);
    CHECK(world.run_until([&] { return !source.sees_coordinator("c1"); }, 1s));
  }
  std::uint64_t highest = 0;
  for (const registry::Directory& had : c1.directories) {
    CHECK(had.slots_revision >= highest);
    highest = had.slots_revision;
  }
}

TEST_CASE("a node says once that a broker is away, and once that it is back") {
  World world;
  auto& source = world.start_node(Role::source, "source", "count", kOneBroker);
  world.run(900ms);
  CHECK(source.notices.empty());
  world.run(20s);
  CHECK(source.notices_with("broker a is away") == 1);
  world.start_broker("a");
  world.run(2s);
  CHECK(source.notices_with("broker a is back") == 1);
  world.kill_broker("a");
  world.run(20s);
  CHECK(source.notices_with("broker a is away") == 2);
  world.start_broker("a");
  world.run(20s);
  CHECK(source.notices_with("broker a is back") == 2);
}

TEST_CASE("a broker restarted at once is not worth a word") {
  Running world;
  world.start_broker("a");
  world.run(5s);
  CHECK(world.node("source").notices.empty());
  CHECK(world.all_see({"w1", "w2", "w3"}));
}

TEST_CASE("an operator is told of all nodes, by topology, role and name") {
  Running world;
  world.start_node(Role::source, "other", "words", kOneBroker);
  world.start_node(Role::stats, "stats", "", kOneBroker);
  world.run(200ms);
  Operator asks(world);
  REQUIRE(asks.ask("nodes"));
  CHECK(asks.id() == 7);
  CHECK(asks.nodes() == Names{"broker a running", "stats stats running", "source source running",
                              "pipeline c1 running", "pipeline c2 running", "task w1 running",
                              "task w2 running", "task w3 running", "source other running"});
  REQUIRE(asks.ask("nodes", "words"));
  CHECK(asks.nodes() == Names{"broker a running", "source other running"});
  REQUIRE(asks.ask("what else"));
  CHECK(asks.nodes().empty());
}

TEST_CASE("a directory goes to each node once however much has changed since the last") {
  Running world;
  const std::uint64_t before = world.broker("a").machine->counters().directories_sent;
  const std::size_t had = world.node("source").directories.size();
  for (int i = 0; i < 10; ++i) {
    world.set_registration(world.node("c1"), coordinator("tcp://c1:" + std::to_string(10 + i)));
  }
  REQUIRE(world.run_until(
      [&] { return world.node("source").directory().coordinators[0].endpoint == "tcp://c1:19"; }));
  CHECK(world.broker("a").machine->counters().directories_sent - before == 6);
  CHECK(world.node("source").directories.size() - had == 1);
}

TEST_CASE("registrations beyond what a directory can hold are refused, and others keep theirs") {
  Running world;
  registry::Registration huge = coordinator("tcp://huge:1", "v3");
  huge.topology_text.assign(kMaxTopologyBytes, '#');
  const std::size_t fit = BrokerMachine::kMaxRegisteredBytes / kMaxTopologyBytes;
  for (std::size_t i = 0; i < fit + 2; ++i) {
    world.start_node(Role::pipeline, "h" + std::to_string(i), "huge", kOneBroker, huge);
  }
  world.run(1s);
  CHECK(world.broker("a").machine->counters().registrations_refused >= 2);
  CHECK(world.all_see({"w1", "w2", "w3"}));
}

TEST_CASE("frames that are no frames change nothing") {
  Running world;
  for (const char* bytes : {"", "x", "\x93\x01\x02", "\xdd\xff\xff\xff\xff"}) {
    world.send_raw("a", "stranger", SharedBytes(std::string(bytes)));
  }
  world.run(1s);
  CHECK(world.all_see({"w1", "w2", "w3"}));
}
