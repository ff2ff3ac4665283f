#include "tempest/registry/member.hpp"

#include <algorithm>
#include <utility>

#include "tempest/base/random.hpp"
#include "tempest/wire/codec.hpp"

namespace tempest::registry {
namespace {

/// A broker that is reached within this is not worth a line in the log.
constexpr Duration kReportAwayAfter = std::chrono::seconds(1);

using Level = link::Notice::Level;

template <typename Body>
void send_body(link::Client& client, const Body& body, TimePoint now, link::Output& output) {
  client.send(wire::kKindOf<Body>, wire::data_frame(body), now, output);
}

}  // namespace

Member::Member(link::Identity self, std::vector<std::string> brokers,
               const link::Settings& settings, std::uint64_t seed)
    : self_(std::move(self)), grace_(2 * settings.lease) {
  Random random(seed);
  brokers_.reserve(brokers.size());
  for (std::string& endpoint : brokers) {
    brokers_.push_back(
        {.endpoint = std::move(endpoint),
         .client = link::Client(self_, settings, random.next(), {Role::broker, {}, {}}),
         .report_away_at = kNever,
         .reported_away = false,
         .word = {},
         .coordinators = {},
         .has_spoken = false,
         .forget_carried_at = kNever,
         .told_revision = 0});
  }
  directory_.topology = self_.topology;
}

void Member::start(TimePoint now, link::Effects& effects) {
  for (Broker& broker : brokers_) {
    effects.opens.push_back({channel_of(broker), broker.endpoint});
    broker.report_away_at = now + kReportAwayAfter;
  }
}

link::ChannelId Member::channel_of(const Broker& broker) const {
  const auto index = static_cast<std::uint32_t>(&broker - brokers_.data());
  return link::ChannelId{static_cast<std::uint32_t>(link::kFirstBroker) + index};
}

bool Member::owns(link::ChannelId channel) const {
  const auto first = static_cast<std::uint32_t>(link::kFirstBroker);
  const auto number = static_cast<std::uint32_t>(channel);
  return number >= first && number - first < brokers_.size();
}

bool Member::receive(link::ChannelId channel, std::string_view frame, TimePoint now,
                     link::Effects& effects) {
  if (owns(channel)) {
    Broker& broker = brokers_[static_cast<std::uint32_t>(channel) -
                              static_cast<std::uint32_t>(link::kFirstBroker)];
    link::Output output;
    broker.client.receive(frame, now, output);
    carry_out(broker, output, now, effects);
  }
  return std::exchange(changed_, false);
}

bool Member::turn(TimePoint now, link::Effects& effects) {
  for (Broker& broker : brokers_) {
    link::Output output;
    broker.client.turn(now, output);
    carry_out(broker, output, now, effects);
    if (now >= broker.report_away_at) {
      broker.report_away_at = kNever;
      broker.reported_away = true;
      effects.notify(Level::warning,
                     "broker " + broker.endpoint + " is away: trying again until it is back");
    }
    if (now >= broker.forget_carried_at) {
      forget_carried(broker);
      merge(now, effects);
    }
  }
  return std::exchange(changed_, false);
}

TimePoint Member::next_turn() const {
  TimePoint next = kNever;
  for (const Broker& broker : brokers_) {
    next = std::min(
        {next, broker.client.next_turn(), broker.report_away_at, broker.forget_carried_at});
  }
  return next;
}

void Member::set_registration(Registration registration, TimePoint now, link::Effects& effects) {
  if (registered_ && registration == registration_) return;
  if (!registered_ || registration.topology_version != registration_.topology_version) {
    definition_since_ = now;
  }
  registration_ = std::move(registration);
  registered_ = true;
  for (Broker& broker : brokers_) {
    if (!broker.client.is_up()) continue;
    link::Output output;
    send_registration(broker, now, output);
    carry_out(broker, output, now, effects);
  }
}

void Member::report_slots(SlotReport report, TimePoint now, link::Effects& effects) {
  if (report == slot_report_) return;
  slot_report_ = std::move(report);
  for (Broker& broker : brokers_) {
    if (!broker.client.is_up()) continue;
    link::Output output;
    send_slot_report(broker, now, output);
    carry_out(broker, output, now, effects);
  }
}

std::size_t Member::brokers_up() const {
  return static_cast<std::size_t>(
      std::count_if(brokers_.begin(), brokers_.end(),
                    [](const Broker& broker) { return broker.client.is_up(); }));
}

void Member::close(std::string_view reason, TimePoint now, link::Effects& effects) {
  closed_ = true;
  for (Broker& broker : brokers_) {
    link::Output output;
    broker.client.close(reason, now, output);
    carry_out(broker, output, now, effects);
    broker.report_away_at = kNever;
  }
}

void Member::send_registration(Broker& broker, TimePoint now, link::Output& output) {
  wire::Registration registration = view_of(registration_);
  registration.slots_revision = broker.told_revision;
  registration.age_ms = static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(now - definition_since_).count());
  send_body(broker.client, registration, now, output);
}

void Member::send_slot_report(Broker& broker, TimePoint now, link::Output& output) {
  send_body(broker.client, view_of(slot_report_), now, output);
}

void Member::carry_out(Broker& broker, link::Output& output, TimePoint now,
                       link::Effects& effects) {
  // Answering an event adds frames to `output`, so events are taken by place and frames last.
  for (std::size_t i = 0; i < output.events.size(); ++i) {
    const link::Event event = output.events[i];
    switch (event.kind) {
      case link::Event::Kind::up:
        came_up(broker, now, output, effects);
        break;
      case link::Event::Kind::lost:
        went_away(broker, now);
        if (!directory_.watches.empty()) merge(now, effects);
        break;
      case link::Event::Kind::body:
        if (event.body_kind != wire::BodyKind::directory) break;
        if (hear(broker, event.body, effects)) {
          merge(now, effects);
        } else {
          broker.client.reset(now, output);
        }
        break;
      case link::Event::Kind::refused:
        effects.notify(Level::warning, "no session with broker " + broker.endpoint + ": " +
                                           *event.text + "; asking again");
        break;
    }
  }
  for (link::Outgoing& outgoing : output.frames) {
    effects.sends.push_back({channel_of(broker), {}, std::move(outgoing.frame)});
  }
}

void Member::came_up(Broker& broker, TimePoint now, link::Output& output, link::Effects& effects) {
  broker.report_away_at = kNever;
  if (std::exchange(broker.reported_away, false)) {
    effects.notify(Level::info, "broker " + broker.endpoint + " is back");
  }
  broker.has_spoken = false;
  broker.word.slots_revision = 0;
  for (auto& [name, listed] : broker.coordinators) listed.carried = true;
  broker.forget_carried_at = broker.coordinators.empty() ? kNever : now + grace_;

  // Whatever this broker will state is to count as newer than what is known.
  const std::uint64_t known = directory_.slots_revision;
  broker.told_revision = known == 0 ? 0 : known + 1;
  if (registered_) send_registration(broker, now, output);
  if (slot_report_ != SlotReport{}) send_slot_report(broker, now, output);
}

void Member::went_away(Broker& broker, TimePoint now) {
  broker.has_spoken = false;
  broker.forget_carried_at = kNever;
  if (workers_from_ == &broker) workers_from_ = nullptr;
  if (!closed_) broker.report_away_at = now + kReportAwayAfter;
}

bool Member::hear(Broker& broker, std::string_view body, link::Effects& effects) {
  wire::Directory decoded;
  if (const Result<void> result = wire::decode(body, decoded); !result) {
    effects.notify(Level::warning, "a broker's directory cannot be read",
                   {{"broker", broker.endpoint}, {"error", result.error().message}});
    return false;
  }
  if (decoded.topology != self_.topology) return true;

  Directory word = own(decoded);
  std::vector<std::string> gone;
  for (const auto& [name, listed] : broker.coordinators) {
    if (!listed.carried) gone.push_back(name);
  }
  for (Directory::Coordinator& coordinator : word.coordinators) {
    std::erase(gone, coordinator.name);
    Listed& listed = broker.coordinators[coordinator.name];
    // What is merely said again is no news: it must not win over what another broker said since.
    if (listed.heard == 0 || listed.coordinator != coordinator) listed.heard = ++news_;
    listed.coordinator = std::move(coordinator);
    listed.carried = false;
  }
  for (const std::string& name : gone) forget(broker, name);
  word.coordinators.clear();
  broker.word = std::move(word);
  broker.has_spoken = true;
  has_directory_ = true;
  return true;
}

void Member::forget(Broker& broker, std::string_view name) {
  const auto found = broker.coordinators.find(name);
  if (found == broker.coordinators.end()) return;
  const Incarnation incarnation = found->second.coordinator.incarnation;
  broker.coordinators.erase(found);
  // This is newer than what a broker said that is away now.
  for (Broker& other : brokers_) {
    if (other.client.is_up()) continue;
    const auto stale = other.coordinators.find(name);
    if (stale != other.coordinators.end() && stale->second.coordinator.incarnation == incarnation) {
      other.coordinators.erase(stale);
    }
  }
}

void Member::forget_carried(Broker& broker) {
  broker.forget_carried_at = kNever;
  std::vector<std::string> gone;
  for (const auto& [name, listed] : broker.coordinators) {
    if (listed.carried) gone.push_back(name);
  }
  for (const std::string& name : gone) forget(broker, name);
}

void Member::merge(TimePoint now, link::Effects& effects) {
  Directory merged;
  merged.topology = self_.topology;
  merge_coordinators(merged);
  merge_definition(merged);
  merge_watches(merged);

  merged.workers = directory_.workers;
  merged.slots_revision = directory_.slots_revision;
  merged.slots_settled = directory_.slots_settled;
  merged.held = directory_.held;
  if (Broker* chosen = chosen_for_workers()) {
    if (continues_known(*chosen)) {
      merged.workers = chosen->word.workers;
      merged.slots_revision = chosen->word.slots_revision;
      merged.slots_settled = chosen->word.slots_settled;
      merged.held = chosen->word.held;
      workers_from_ = chosen;
    } else if (chosen->told_revision <= directory_.slots_revision) {
      chosen->told_revision = directory_.slots_revision + 1;
      link::Output output;
      if (registered_) send_registration(*chosen, now, output);
      carry_out(*chosen, output, now, effects);
    }
  }
  if (merged == directory_) return;
  directory_ = std::move(merged);
  changed_ = true;
}

void Member::merge_coordinators(Directory& merged) const {
  std::map<std::string_view, const Listed*> newest;
  for (const Broker& broker : brokers_) {
    for (const auto& [name, listed] : broker.coordinators) {
      const Listed*& best = newest[name];
      if (best == nullptr || best->heard < listed.heard) best = &listed;
    }
  }
  for (const auto& [name, listed] : newest) merged.coordinators.push_back(listed->coordinator);
}

void Member::merge_definition(Directory& merged) const {
  merged.topology_version = directory_.topology_version;
  merged.topology_text = directory_.topology_text;
  for (const Broker& broker : brokers_) {
    if (!broker.has_spoken || broker.word.topology_version.empty()) continue;
    // A coordinator that brought what we have is still to come back to this broker.
    const bool may_be_older =
        std::any_of(broker.coordinators.begin(), broker.coordinators.end(), [&](const auto& entry) {
          return entry.second.carried &&
                 entry.second.coordinator.topology_version == directory_.topology_version;
        });
    if (may_be_older) continue;
    merged.topology_version = broker.word.topology_version;
    merged.topology_text = broker.word.topology_text;
    return;
  }
}

void Member::merge_watches(Directory& merged) const {
  for (const Broker& broker : brokers_) {
    if (!broker.has_spoken) continue;
    for (const wire::Watch& watch : broker.word.watches) {
      const bool known = std::any_of(merged.watches.begin(), merged.watches.end(),
                                     [&](const wire::Watch& one) { return one.id == watch.id; });
      if (!known) merged.watches.push_back(watch);
    }
  }
}

Member::Broker* Member::chosen_for_workers() {
  const auto found = std::find_if(brokers_.begin(), brokers_.end(), [](const Broker& broker) {
    return broker.has_spoken && broker.word.slots_revision > 0;
  });
  return found == brokers_.end() ? nullptr : &*found;
}

bool Member::continues_known(const Broker& broker) const {
  const std::uint64_t known = directory_.slots_revision;
  const std::uint64_t stated = broker.word.slots_revision;
  if (workers_from_ == &broker) return stated >= known;
  return stated > known || (stated == known && broker.word.workers == directory_.workers);
}

}  // namespace tempest::registry
