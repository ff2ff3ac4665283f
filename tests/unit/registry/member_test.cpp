#include "tempest/registry/member.hpp"

#include <catch2/catch.hpp>
#include <map>
#include <memory>

#include "tempest/link/server.hpp"
#include "tempest/wire/codec.hpp"

using namespace tempest;
using namespace tempest::registry;
using namespace std::chrono_literals;

namespace {

constexpr Duration kLease = 3s;

/// A member and brokers that say what the test makes them say.
class Scripted {
 public:
  explicit Scripted(std::vector<std::string> names)
      : names_(std::move(names)),
        member_({Role::pipeline, "me", Incarnation{1, 1}, "count"}, names_, link::Settings{}, 7) {
    link::Effects effects;
    member_.start(now_, effects);
    for (std::size_t i = 0; i < names_.size(); ++i) {
      CHECK(effects.opens.at(i).endpoint == names_[i]);
      CHECK(effects.opens.at(i).channel == channel(i));
    }
    member_.set_registration({"tcp://me:1", "v1", "text", {}, "running"}, now_, effects);
    carry_out(effects);
  }

  Member& member() { return member_; }
  const Directory& directory() const { return member_.directory(); }
  std::size_t changes() const { return changes_; }
  const std::vector<std::string>& notices() const { return notices_; }

  void start(const std::string& name) {
    Broker& broker = brokers_[name];
    broker = {};
    broker.server = std::make_unique<link::Server>(
        link::Identity{Role::broker, name, Incarnation{2, ++incarnations_}, {}}, link::Settings{});
    run_until_up(name);
  }
  void kill(const std::string& name) { brokers_.erase(name); }

  /// What the node last said to that broker.
  const Registration& registration(const std::string& name) {
    return brokers_.at(name).registration;
  }
  std::uint64_t told_revision(const std::string& name) { return brokers_.at(name).told_revision; }
  std::uint64_t told_age_ms(const std::string& name) { return brokers_.at(name).age_ms; }
  std::uint64_t settlement(const std::string& name) { return brokers_.at(name).settlement; }

  void say(const std::string& name, const Directory& directory) {
    Broker& broker = brokers_.at(name);
    say_frame(name, wire::BodyKind::directory,
              wire::data_frame(view_of(directory, ++broker.revision)));
  }
  void say_frame(const std::string& name, wire::BodyKind kind, std::string frame) {
    link::Output output;
    Broker& broker = brokers_.at(name);
    broker.server->send(broker.peer, kind, std::move(frame), now_, output);
    take(name, output);
  }

  void settle_slots(std::uint64_t revision) {
    link::Effects effects;
    member_.report_slots({revision, {}, {}, {}}, now_, effects);
    carry_out(effects);
  }
  void set_registration(Registration registration) {
    link::Effects effects;
    member_.set_registration(std::move(registration), now_, effects);
    carry_out(effects);
  }

  void run(Duration duration) {
    for (const TimePoint end = now_ + duration; now_ < end;) {
      now_ += 10ms;
      for (auto& [name, broker] : brokers_) {
        link::Output output;
        broker.server->turn(now_, output);
        take(name, output);
      }
      link::Effects effects;
      changes_ += member_.turn(now_, effects) ? 1 : 0;
      carry_out(effects);
    }
  }

 private:
  struct Broker {
    std::unique_ptr<link::Server> server;
    PeerId peer;
    bool up = false;
    std::uint64_t revision = 0;
    Registration registration;
    std::uint64_t told_revision = 0;
    std::uint64_t age_ms = 0;
    std::uint64_t settlement = 0;
  };

  static link::ChannelId channel(std::size_t index) {
    return link::ChannelId{static_cast<std::uint32_t>(link::kFirstBroker) +
                           static_cast<std::uint32_t>(index)};
  }

  void run_until_up(const std::string& name) {
    for (int i = 0; i < 1000 && !brokers_.at(name).up; ++i) run(10ms);
    REQUIRE(brokers_.at(name).up);
  }

  void carry_out(link::Effects& effects) {
    for (auto& notice : effects.notices) notices_.push_back(std::move(notice.text));
    for (auto& send : effects.sends) {
      const auto index =
          static_cast<std::uint32_t>(send.channel) - static_cast<std::uint32_t>(link::kFirstBroker);
      const std::string& name = names_.at(index);
      const auto broker = brokers_.find(name);
      if (broker == brokers_.end()) continue;
      link::Output output;
      broker->second.server->receive("me", send.frame.view(), now_, output);
      take(name, output);
    }
  }

  void take(const std::string& name, link::Output& output) {
    Broker& broker = brokers_.at(name);
    for (const link::Event& event : output.events) {
      if (event.kind == link::Event::Kind::up) {
        broker.peer = event.peer;
        broker.up = true;
      } else if (event.kind == link::Event::Kind::lost) {
        broker.up = false;
      } else if (event.body_kind == wire::BodyKind::registration) {
        wire::Registration registration;
        REQUIRE(wire::decode(event.body, registration));
        broker.registration = own(registration);
        broker.told_revision = registration.slots_revision;
        broker.age_ms = registration.age_ms;
      } else if (event.body_kind == wire::BodyKind::slot_settlement) {
        wire::SlotSettlement settlement;
        REQUIRE(wire::decode(event.body, settlement));
        broker.settlement = settlement.slots_revision;
      }
    }
    const auto index =
        static_cast<std::size_t>(std::find(names_.begin(), names_.end(), name) - names_.begin());
    for (auto& outgoing : output.frames) {
      link::Effects effects;
      changes_ += member_.receive(channel(index), outgoing.frame.view(), now_, effects) ? 1 : 0;
      carry_out(effects);
    }
  }

  TimePoint now_{1000s};
  std::vector<std::string> names_;
  std::map<std::string, Broker> brokers_;
  std::uint64_t incarnations_ = 0;
  std::vector<std::string> notices_;
  std::size_t changes_ = 0;
  Member member_;
};

Directory::Coordinator coordinator(const std::string& name, std::uint64_t incarnation = 1,
                                   const std::string& version = "v1") {
  return {name, Incarnation{3, incarnation}, "tcp://" + name + ":" + std::to_string(incarnation),
          version};
}

Directory directory_of(std::vector<Directory::Coordinator> coordinators,
                       std::vector<std::string> workers = {}, std::uint64_t slots_revision = 1,
                       const std::string& version = "v1") {
  Directory directory;
  directory.topology = "count";
  directory.topology_version = version;
  directory.topology_text = version + " text";
  directory.coordinators = std::move(coordinators);
  for (std::string& name : workers) directory.workers.push_back({name, Incarnation{4, 1}, {"t"}});
  directory.slots_revision = slots_revision;
  directory.slots_settled = slots_revision;
  return directory;
}

}  // namespace

TEST_CASE("owning and viewing a directory and a registration are inverse") {
  Directory directory = directory_of({coordinator("a"), coordinator("b", 2)}, {"w1", "w2"}, 9);
  CHECK(own(view_of(directory, 3)) == directory);
  CHECK(view_of(directory, 3).revision == 3);
  const Registration registration{"tcp://x:1", "v", "text", {"a", "b"}, "draining"};
  CHECK(own(view_of(registration)) == registration);
}

TEST_CASE("a directory out of order is put into order, so that all make the same table") {
  Directory shuffled = directory_of({coordinator("b"), coordinator("a")}, {"w2", "w1"});
  const Directory owned = own(view_of(shuffled, 1));
  CHECK(owned.coordinators[0].name == "a");
  CHECK(owned.workers[0].name == "w1");
}

TEST_CASE("a member owns one channel for each broker") {
  Scripted scripted({"a", "b"});
  CHECK_FALSE(scripted.member().owns(link::kListener));
  CHECK(scripted.member().owns(link::kFirstBroker));
  CHECK(scripted.member().owns(link::ChannelId{2}));
  CHECK_FALSE(scripted.member().owns(link::ChannelId{3}));
  CHECK_FALSE(scripted.member().owns(link::kFirstCoordinator));
}

TEST_CASE("a member registers with every broker, and again when it has something else to say") {
  Scripted scripted({"a", "b"});
  scripted.start("a");
  CHECK(scripted.registration("a").endpoint == "tcp://me:1");
  CHECK(scripted.registration("a").topology_text == "text");
  CHECK(scripted.told_revision("a") == 0);
  scripted.set_registration({"tcp://me:1", "v1", "text", {}, "draining"});
  CHECK(scripted.registration("a").state == "draining");
  scripted.start("b");
  CHECK(scripted.registration("b").state == "draining");
  scripted.kill("a");
  scripted.start("a");
  CHECK(scripted.registration("a").state == "draining");
  CHECK(scripted.member().brokers_up() == 2);
}

TEST_CASE("the age that is told is that of the definition, not of the registration") {
  Scripted scripted({"a"});
  scripted.start("a");
  scripted.run(2s);
  scripted.set_registration({"tcp://me:1", "v1", "text", {}, "draining"});
  CHECK(scripted.told_age_ms("a") >= 2000);
  scripted.set_registration({"tcp://me:1", "v2", "text 2", {}, "draining"});
  CHECK(scripted.told_age_ms("a") == 0);
}

TEST_CASE("the first word of a broker makes the directory, and only a change is a change") {
  Scripted scripted({"a"});
  CHECK_FALSE(scripted.member().has_directory());
  scripted.start("a");
  CHECK_FALSE(scripted.member().has_directory());
  const Directory said = directory_of({coordinator("c1")}, {"w1"});
  scripted.say("a", said);
  CHECK(scripted.member().has_directory());
  CHECK(scripted.directory() == said);
  CHECK(scripted.changes() == 1);
  scripted.say("a", said);
  CHECK(scripted.changes() == 1);
}

TEST_CASE("a directory of another topology, or one that cannot be read, is dropped") {
  Scripted scripted({"a"});
  scripted.start("a");
  Directory other = directory_of({coordinator("c1")});
  other.topology = "words";
  scripted.say("a", other);
  std::string frame;
  wire::begin_data(wire::BodyKind::directory, frame);
  scripted.say_frame("a", wire::BodyKind::directory, frame + "\x93");
  CHECK_FALSE(scripted.member().has_directory());
  CHECK(scripted.changes() == 0);
}

TEST_CASE("a coordinator that a broker no longer lists is gone at once") {
  Scripted scripted({"a"});
  scripted.start("a");
  scripted.say("a", directory_of({coordinator("c1"), coordinator("c2")}));
  scripted.say("a", directory_of({coordinator("c2")}));
  REQUIRE(scripted.directory().coordinators.size() == 1);
  CHECK(scripted.directory().coordinators[0].name == "c2");
}

TEST_CASE("a returned broker that does not list a coordinator is believed after two leases") {
  Scripted scripted({"a"});
  scripted.start("a");
  scripted.say("a", directory_of({coordinator("c1"), coordinator("c2")}));
  scripted.kill("a");
  scripted.run(2 * kLease);
  CHECK(scripted.directory().coordinators.size() == 2);
  scripted.start("a");
  scripted.say("a", directory_of({coordinator("c2")}));
  CHECK(scripted.directory().coordinators.size() == 2);
  const std::size_t changes = scripted.changes();
  scripted.run(2 * kLease + 100ms);
  CHECK(scripted.directory().coordinators.size() == 1);
  CHECK(scripted.changes() == changes + 1);
}

TEST_CASE("a coordinator is kept as long as any broker that is up lists it") {
  Scripted scripted({"a", "b"});
  scripted.start("a");
  scripted.start("b");
  scripted.say("a", directory_of({coordinator("c1")}));
  scripted.say("b", directory_of({coordinator("c1"), coordinator("c2")}));
  CHECK(scripted.directory().coordinators.size() == 2);
  scripted.say("a", directory_of({}));
  CHECK(scripted.directory().coordinators.size() == 2);
  scripted.say("b", directory_of({coordinator("c2")}));
  REQUIRE(scripted.directory().coordinators.size() == 1);
  CHECK(scripted.directory().coordinators[0].name == "c2");
}

TEST_CASE("of two incarnations of a coordinator the one that was news last wins") {
  Scripted scripted({"a", "b"});
  scripted.start("a");
  scripted.start("b");
  scripted.say("a", directory_of({coordinator("c1", 1)}));
  scripted.say("b", directory_of({coordinator("c1", 1)}));
  scripted.say("b", directory_of({coordinator("c1", 2)}));
  CHECK(scripted.directory().coordinators.at(0).incarnation == Incarnation{3, 2});
  // Broker a has something else to say, and still the old life of c1.
  scripted.say("a", directory_of({coordinator("c1", 1), coordinator("c2")}));
  CHECK(scripted.directory().coordinators.at(0).incarnation == Incarnation{3, 2});
  CHECK(scripted.directory().coordinators.size() == 2);
}

TEST_CASE("what a broker says is newer than what one said that is away") {
  Scripted scripted({"a", "b"});
  scripted.start("a");
  scripted.start("b");
  for (const char* broker : {"a", "b"}) {
    scripted.say(broker, directory_of({coordinator("c1"), coordinator("c2")}));
  }
  scripted.kill("a");
  scripted.run(2 * kLease);
  CHECK(scripted.directory().coordinators.size() == 2);
  scripted.say("b", directory_of({coordinator("c2")}));
  CHECK(scripted.directory().coordinators.size() == 1);
}

TEST_CASE("the definition stays while the coordinator that brought it has yet to come back") {
  Scripted scripted({"a"});
  scripted.start("a");
  scripted.say("a",
               directory_of({coordinator("c1", 1, "v1"), coordinator("c2", 1, "v2")}, {}, 1, "v2"));
  scripted.kill("a");
  scripted.start("a");
  scripted.say("a", directory_of({coordinator("c1", 1, "v1")}, {}, 2, "v1"));
  CHECK(scripted.directory().topology_version == "v2");
  SECTION("and it comes") {
    scripted.say(
        "a", directory_of({coordinator("c1", 1, "v1"), coordinator("c2", 1, "v2")}, {}, 2, "v2"));
    scripted.run(3 * kLease);
    CHECK(scripted.directory().topology_version == "v2");
  }
  SECTION("or is gone") {
    scripted.run(3 * kLease);
    CHECK(scripted.directory().topology_version == "v1");
  }
}

TEST_CASE("a definition stays known when the last coordinator leaves") {
  Scripted scripted({"a"});
  scripted.start("a");
  scripted.say("a", directory_of({coordinator("c1")}));
  Directory none = directory_of({});
  none.topology_version.clear();
  none.topology_text.clear();
  scripted.say("a", none);
  CHECK(scripted.directory().coordinators.empty());
  CHECK(scripted.directory().topology_text == "v1 text");
}

TEST_CASE("a broker that withholds its workers takes none away") {
  Scripted scripted({"a"});
  scripted.start("a");
  scripted.say("a", directory_of({}, {"w1", "w2"}, 5));
  scripted.kill("a");
  scripted.start("a");
  CHECK(scripted.told_revision("a") == 6);
  scripted.say("a", directory_of({}, {}, 0));
  CHECK(scripted.directory().workers.size() == 2);
  CHECK(scripted.directory().slots_revision == 5);
  scripted.say("a", directory_of({}, {"w1"}, 6));
  CHECK(scripted.directory().workers.size() == 1);
  CHECK(scripted.directory().slots_revision == 6);
}

TEST_CASE("a broker whose numbering is behind is told to raise it before it is believed") {
  Scripted scripted({"a", "b"});
  scripted.start("a");
  scripted.start("b");
  scripted.say("a", directory_of({}, {"w1"}, 5));
  scripted.say("b", directory_of({}, {"w2"}, 3));
  CHECK(scripted.directory().slots_revision == 5);
  scripted.kill("a");
  scripted.run(2 * kLease);
  scripted.say("b", directory_of({}, {"w2", "w3"}, 4));
  CHECK(scripted.directory().slots_revision == 5);
  CHECK(scripted.directory().workers.at(0).name == "w1");
  CHECK(scripted.told_revision("b") == 6);
  scripted.say("b", directory_of({}, {"w2", "w3"}, 6));
  CHECK(scripted.directory().workers.size() == 2);
}

TEST_CASE("the workers are taken from the first broker that states them") {
  Scripted scripted({"a", "b"});
  scripted.start("b");
  scripted.say("b", directory_of({}, {"w1", "w2"}, 2));
  CHECK(scripted.directory().workers.size() == 2);
  scripted.start("a");
  scripted.say("a", directory_of({}, {}, 0));
  CHECK(scripted.directory().workers.size() == 2);
  scripted.say("a", directory_of({}, {"w1"}, 3));
  CHECK(scripted.directory().workers.size() == 1);
  scripted.say("b", directory_of({}, {"w1", "w2", "w3"}, 9));
  CHECK(scripted.directory().workers.size() == 1);
}

TEST_CASE("settlements go to every broker, also to one that comes back") {
  Scripted scripted({"a", "b"});
  scripted.start("a");
  scripted.start("b");
  scripted.settle_slots(4);
  CHECK(scripted.settlement("a") == 4);
  CHECK(scripted.settlement("b") == 4);
  scripted.kill("a");
  scripted.start("a");
  CHECK(scripted.settlement("a") == 4);
}

TEST_CASE("a member that has closed says nothing of brokers that are away") {
  Scripted scripted({"a"});
  scripted.start("a");
  link::Effects effects;
  scripted.member().close("ends", TimePoint{2000s}, effects);
  CHECK_FALSE(effects.sends.empty());
  scripted.kill("a");
  scripted.run(10s);
  CHECK(scripted.notices().empty());
}
