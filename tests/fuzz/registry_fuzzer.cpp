#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "broker/broker_machine.hpp"
#include "input.hpp"
#include "tempest/registry/member.hpp"
#include "tempest/wire/codec.hpp"

/// A broker, the members of a topology's nodes, and a stranger with a link of its own that says
/// whatever the input says; a second broker of the members is played by the input altogether.
///
/// Whatever is said: what the broker and the members send decodes, directories are those of the
/// own topology and sorted, and the number of the worker list never goes back.
using namespace tempest;
using namespace tempest::link;
using fuzz::kSeedStep;
using fuzz::number_from;
using fuzz::require;

namespace {

constexpr std::size_t kMembers = 2;
constexpr std::array<Role, kMembers> kRoles = {Role::pipeline, Role::task};
constexpr std::array<const char*, 6> kNames = {"pipeline", "task", "x", "y", "z", ""};
constexpr std::array<const char*, 3> kTopologies = {"t", "u", ""};
constexpr const char* kStranger = "stranger#";
const ChannelId kSecondBroker{static_cast<std::uint32_t>(kFirstBroker) + 1};

Incarnation incarnation_from(fuzz::Input& input) {
  return {0, input.choice(4)};
}

registry::SlotReport slot_report_from(fuzz::Input& input) {
  registry::SlotReport report;
  report.slots_revision = number_from(input);
  for (std::size_t n = input.choice(3); n > 0; --n) {
    report.held.push_back({kNames[input.choice(kNames.size())],
                           std::string(input.choice(8) == 0 ? 3 : kKeySlots / 8, 'h')});
  }
  for (std::size_t n = input.choice(3); n > 0; --n) {
    report.attached.push_back({kNames[input.choice(kNames.size())],
                               incarnation_from(input),
                               {kNames[input.choice(kNames.size())]}});
  }
  for (std::size_t n = input.choice(3); n > 0; --n) {
    report.missing.push_back({kNames[input.choice(kNames.size())], incarnation_from(input)});
  }
  return report;
}

class World {
 public:
  World() {
    begin_broker();
    begin_member(0);
    fuzz::forget_coverage();
  }

  void step(fuzz::Input& input) {
    const std::size_t action = input.choice(14);
    const std::size_t i = input.choice(kMembers);
    if (!members_[i]) begin_member(i);
    switch (action) {
      case 0:
        pass(std::chrono::milliseconds(input.byte()));
        break;
      case 1:
        pass(std::chrono::milliseconds(input.word()));
        break;
      case 2:
        register_member(i, input);
        break;
      case 3:
        members_[i]->report_slots(slot_report_from(input), now_, effects_);
        break;
      case 4:
        meet_stranger();
        stranger_registers(input);
        break;
      case 5:
        meet_stranger();
        stranger_says(view_of(slot_report_from(input)));
        break;
      case 6:
        meet_stranger();
        stranger_says(wire::Query{number_from(input), input.choice(2) == 0 ? "nodes" : "",
                                  kTopologies[input.choice(kTopologies.size())]});
        break;
      case 7: {
        meet_stranger();
        static constexpr std::array kKinds = {wire::BodyKind::registration, wire::BodyKind::query,
                                              wire::BodyKind::slot_settlement,
                                              wire::BodyKind::directory};
        const wire::BodyKind kind = kKinds[input.choice(kKinds.size())];
        std::string frame;
        wire::begin_data(kind, frame);
        frame += input.piece();
        stranger_->send(kind, std::move(frame), now_, stranger_output_);
        break;
      }
      case 8: {
        const Role role = static_cast<Role>(input.choice(6));
        const char* name = kNames[input.choice(kNames.size())];
        begin_stranger(role, name, kTopologies[input.choice(kTopologies.size())]);
        break;
      }
      case 9:
        meet_stranger();
        stranger_->close("test", now_, stranger_output_);
        break;
      case 10:
        if (input.choice(4) == 0) {
          begin_broker();
        } else {
          begin_member(i);
        }
        break;
      case 11:
        broker_->receive({kListener, kStranger, SharedBytes(std::string(input.piece()))}, now_,
                         broker_effects_);
        break;
      case 12: {
        const std::string frame(input.piece());
        members_[i]->receive(kFirstBroker, frame, now_, effects_);
        break;
      }
      case 13:
        second_broker_says(i, input);
        break;
    }
    exchange(i);
  }

 private:
  static void empty(Effects& effects) {
    effects.opens.clear();
    effects.closes.clear();
    effects.notices.clear();
    effects.sends.clear();
  }

  static std::string routing_id(std::size_t i) {
    return std::string(1, static_cast<char>('0' + i));
  }

  void begin_broker() {
    broker_ = std::make_unique<broker::BrokerMachine>(
        Identity{Role::broker, "broker", Incarnation{++lives_, 0}, {}}, link::Settings{});
    broker_->start(now_);
  }

  void begin_member(std::size_t i) {
    ++lives_;
    members_[i] = std::make_unique<registry::Member>(
        Identity{kRoles[i], kNames[i], Incarnation{lives_, i}, "t"},
        std::vector<std::string>{"one", "two"}, link::Settings{}, lives_);
    second_[i] = std::make_unique<Server>(
        Identity{Role::broker, "second", Incarnation{lives_, 9}, {}}, link::Settings{});
    second_peer_[i].reset();
    revision_[i] = 0;
    members_[i]->start(now_, effects_);
    registry::Registration registration;
    registration.endpoint = "e";
    registration.topology_version = "v";
    if (kRoles[i] == Role::pipeline) registration.topology_text = "text";
    if (kRoles[i] == Role::task) registration.tasks = {"a"};
    members_[i]->set_registration(registration, now_, effects_);
    exchange(i);
  }

  /// The first time that the input mentions it.
  void meet_stranger() {
    if (stranger_) return;
    begin_stranger(Role::task, "x", "t");
    exchange(0);
  }

  void begin_stranger(Role role, const char* name, const char* topology) {
    ++lives_;
    stranger_ = std::make_unique<Client>(Identity{role, name, Incarnation{lives_, 7}, topology},
                                         link::Settings{}, kSeedStep * lives_);
    stranger_->turn(now_, stranger_output_);
  }

  template <typename Body>
  void stranger_says(const Body& body) {
    stranger_->send(wire::kKindOf<Body>, wire::data_frame(body), now_, stranger_output_);
  }

  void register_member(std::size_t i, fuzz::Input& input) {
    registry::Registration registration;
    registration.topology_version = input.piece().substr(0, kMaxNameBytes);
    registration.state = input.piece();
    for (std::size_t n = input.choice(3); n > 0; --n) registration.tasks.emplace_back(1, 'a');
    members_[i]->set_registration(registration, now_, effects_);
  }

  void stranger_registers(fuzz::Input& input) {
    wire::Registration registration;
    registration.endpoint = "e";
    registration.slots_revision = number_from(input);
    registration.age_ms = number_from(input);
    registration.topology_version = input.choice(2) == 0 ? "v" : "w";
    if (input.choice(2) == 0) registration.topology_text = "text";
    for (std::size_t n = input.choice(4); n > 0; --n) {
      registration.tasks.push_back(kNames[input.choice(kNames.size())]);
    }
    stranger_says(registration);
  }

  void second_broker_says(std::size_t i, fuzz::Input& input) {
    if (!second_peer_[i]) return;
    std::string frame;
    if (input.choice(4) == 0) {
      wire::begin_data(wire::BodyKind::directory, frame);
      frame += input.piece();
    } else {
      wire::Directory directory;
      directory.topology = kTopologies[input.choice(8) == 0 ? 1 : 0];
      directory.topology_version = input.choice(2) == 0 ? "v" : "w";
      directory.topology_text = input.choice(2) == 0 ? "text" : "";
      directory.revision = number_from(input);
      directory.slots_revision = number_from(input);
      directory.slots_settled = number_from(input);
      for (std::size_t n = input.choice(4); n > 0; --n) {
        directory.coordinators.push_back(
            {kNames[input.choice(kNames.size())], incarnation_from(input), "e", "v"});
      }
      for (std::size_t n = input.choice(4); n > 0; --n) {
        directory.workers.push_back({kNames[input.choice(kNames.size())],
                                     incarnation_from(input),
                                     {kNames[input.choice(kNames.size())]}});
      }
      frame = wire::data_frame(directory);
    }
    second_[i]->send(*second_peer_[i], wire::BodyKind::directory, std::move(frame), now_,
                     second_output_);
  }

  void pass(Duration duration) {
    now_ += duration;
    for (std::size_t i = 0; i < kMembers; ++i) {
      if (!members_[i]) continue;
      members_[i]->turn(now_, effects_);
      second_[i]->turn(now_, second_output_);
      exchange(i);
    }
    if (stranger_) stranger_->turn(now_, stranger_output_);
    exchange(0);
  }

  /// Lets everybody's frames arrive, those on the channels of member i for member i.
  void exchange(std::size_t i) {
    for (int round = 0; round < 3; ++round) {
      take_from_member(i);
      take_from_second(i);
      take_from_stranger();
      broker_->turn(now_, broker_effects_);
      take_from_broker();
      if (effects_.sends.empty() && second_output_.frames.empty() &&
          stranger_output_.frames.empty()) {
        break;
      }
    }
    check(i);
  }

  void take_from_member(std::size_t i) {
    for (const Effects::Send& send : std::exchange(effects_.sends, {})) {
      require(wire::peek_type(send.frame.view()).ok(), "a member sends what is no frame");
      if (send.channel == kFirstBroker) {
        broker_->receive({kListener, routing_id(i), send.frame}, now_, broker_effects_);
      } else {
        require(send.channel == kSecondBroker, "a member sends on a channel that is not its own");
        second_[i]->receive("m", send.frame.view(), now_, second_output_);
        for (const Event& event : second_output_.events) {
          if (event.kind == Event::Kind::up) second_peer_[i] = event.peer;
          if (event.kind == Event::Kind::lost && second_peer_[i] == event.peer) {
            second_peer_[i].reset();
          }
        }
        second_output_.events.clear();
      }
    }
    empty(effects_);
  }

  void take_from_second(std::size_t i) {
    for (const Event& event : second_output_.events) {
      if (event.kind == Event::Kind::lost && second_peer_[i] == event.peer) second_peer_[i].reset();
    }
    second_output_.events.clear();
    for (const Outgoing& outgoing : std::exchange(second_output_.frames, {})) {
      members_[i]->receive(kSecondBroker, outgoing.frame.view(), now_, effects_);
    }
  }

  void take_from_stranger() {
    stranger_output_.events.clear();
    for (const Outgoing& outgoing : std::exchange(stranger_output_.frames, {})) {
      broker_->receive({kListener, kStranger, outgoing.frame}, now_, broker_effects_);
    }
  }

  void take_from_broker() {
    for (const Effects::Send& send : std::exchange(broker_effects_.sends, {})) {
      check_frame_of_broker(send.frame.view());
      if (send.routing_id == kStranger) {
        if (stranger_) stranger_->receive(send.frame.view(), now_, stranger_output_);
        continue;
      }
      for (std::size_t i = 0; i < kMembers; ++i) {
        if (send.routing_id != routing_id(i) || !members_[i]) continue;
        members_[i]->receive(kFirstBroker, send.frame.view(), now_, effects_);
        take_from_member(i);
      }
    }
    empty(broker_effects_);
  }

  static void check_frame_of_broker(std::string_view frame) {
    require(frame.size() <= kMaxFrameBytes, "the broker sends a frame that is too large");
    const auto type = wire::peek_type(frame);
    require(type.ok(), "the broker sends what is no frame");
    if (*type != wire::FrameType::data) return;
    wire::DataHeader header;
    std::string_view body;
    require(wire::decode(frame, header, body).ok(), "the broker's data frame does not decode");
    wire::Directory directory;
    wire::Snapshot snapshot;
    const bool decoded = header.kind == wire::BodyKind::directory
                             ? wire::decode(body, directory).ok()
                             : wire::decode(body, snapshot).ok();
    require(decoded, "what the broker says does not decode");
    const auto by_name = [](const auto& a, const auto& b) { return a.name < b.name; };
    require(std::is_sorted(directory.workers.begin(), directory.workers.end(), by_name),
            "a directory's workers are not sorted");
  }

  void check(std::size_t i) {
    const registry::Directory& directory = members_[i]->directory();
    require(directory.topology == "t", "a directory of another topology");
    require(directory.slots_revision >= revision_[i], "the worker list's number went back");
    revision_[i] = directory.slots_revision;
    const auto unsorted =
        std::adjacent_find(directory.coordinators.begin(), directory.coordinators.end(),
                           [](const auto& a, const auto& b) { return a.name >= b.name; });
    require(unsorted == directory.coordinators.end(), "coordinators twice, or not sorted");
  }

  TimePoint now_{std::chrono::hours(1)};
  std::uint64_t lives_ = 0;
  std::unique_ptr<broker::BrokerMachine> broker_;
  /// Null before the input first mentions it.
  std::array<std::unique_ptr<registry::Member>, kMembers> members_;
  /// The second broker's end of each member's link.
  std::array<std::unique_ptr<Server>, kMembers> second_;
  std::array<std::optional<PeerId>, kMembers> second_peer_;
  std::array<std::uint64_t, kMembers> revision_{};
  std::unique_ptr<Client> stranger_;  ///< Null before the input first mentions it.
  Effects effects_;                   ///< The members'.
  Effects broker_effects_;
  Output second_output_;
  Output stranger_output_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  World world;
  while (!input.empty()) world.step(input);
  return 0;
}
