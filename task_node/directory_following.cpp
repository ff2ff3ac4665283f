// The directory and what follows from it: which coordinators a worker has links to, and what it
// serves.

#include <algorithm>
#include <string>
#include <utility>

#include "task_node/task_machine.hpp"

namespace tempest::task_node {
namespace {

using Level = link::Notice::Level;

// As runtime/exit_code.hpp has it, which a machine does not include.
constexpr int kExitConfiguration = 78;

}  // namespace

void TaskMachine::register_node(TimePoint now, link::Effects& effects) {
  registry::Registration registration;
  registration.topology_version = version_;
  if (phase_ == Phase::serving) {
    for (const ServedTask& task : served_) registration.tasks.push_back(task.name);
  }
  switch (phase_) {
    case Phase::waiting:
      registration.state = "waiting for a coordinator to bring the topology";
      break;
    case Phase::building:
      registration.state = "building the topology";
      break;
    case Phase::serving:
      registration.state = stall_.empty() ? "running" : "stalled: " + stall_;
      if (const std::string untaken = stats_.untaken.shown(); !untaken.empty()) {
        registration.state += "; " + untaken;
      }
      break;
    case Phase::switching:
      registration.state = "changing to another version of the topology";
      break;
    case Phase::draining:
    case Phase::finished:
      registration.state = "draining";
      break;
  }
  member_.set_registration(std::move(registration), now, effects);
}

void TaskMachine::heed_directory(TimePoint now, link::Effects& effects) {
  const registry::Directory& directory = member_.directory();
  set_taps(effects);
  if (directory.topology_version.empty() || directory.topology_text.empty()) return;
  switch (phase_) {
    case Phase::waiting:
      phase_ = Phase::building;
      build_wanted_ = true;
      register_node(now, effects);
      break;
    case Phase::serving:
      if (directory.topology_version != version_) {
        effects.notify(Level::info, "the topology has another version, changing to it",
                       {{"version", directory.topology_version}});
        wind_down(Phase::switching, now);
        register_node(now, effects);
      } else {
        match_coordinators(now, effects);
      }
      break;
    case Phase::building:   // What it was built from is compared once it has been.
    case Phase::switching:  // The newest version is looked up at the end.
    case Phase::draining:
    case Phase::finished:
      break;
  }
}

void TaskMachine::match_coordinators(TimePoint now, link::Effects& effects) {
  for (const auto& coordinator : member_.directory().coordinators) {
    if (coordinator.topology_version != version_) continue;
    bool known = false;
    for (auto entry = links_.begin(); entry != links_.end();) {
      CoordinatorLink& link = *entry->second;
      const bool leads_to_it = link.leads_to(coordinator);
      known = known || leads_to_it;
      // Another life of it at the same place: the old link's session is over, and its HELLOs would
      // take the new link's place at the coordinator.
      if (!leads_to_it && link.coordinator().name == coordinator.name &&
          link.coordinator().endpoint == coordinator.endpoint) {
        close_link(link, "started anew", now, effects);
        entry = links_.erase(entry);
      } else {
        ++entry;
      }
    }
    if (!known) open_link(coordinator, effects);
  }
  close_unlisted(now, effects);
}

void TaskMachine::open_link(const registry::Directory::Coordinator& coordinator,
                            link::Effects& effects) {
  const link::ChannelId channel{next_channel_++};
  links_.emplace(channel, std::make_unique<CoordinatorLink>(channel, coordinator, self_, settings_,
                                                            random_.next()));
  effects.opens.push_back({channel, coordinator.endpoint});
}

bool TaskMachine::is_listed(const CoordinatorLink& link) const {
  const auto& listed = member_.directory().coordinators;
  return std::any_of(listed.begin(), listed.end(),
                     [&](const auto& coordinator) { return link.leads_to(coordinator); });
}

/// A coordinator that is no longer listed but still there is kept: a registry that has lost sight
/// of it must not stop the work.
void TaskMachine::close_unlisted(TimePoint now, link::Effects& effects) {
  std::erase_if(links_, [&](const auto& entry) {
    CoordinatorLink& link = *entry.second;
    if (link.is_up() || is_listed(link)) return false;
    close_link(link, "not listed any more", now, effects);
    return true;
  });
}

void TaskMachine::close_link(CoordinatorLink& link, std::string_view reason, TimePoint now,
                             link::Effects& effects) {
  stats_.late_results += link.drop_results();
  stats_.dropped_deliveries += queue_.drop(link.session());
  link.close(reason, now);
  link.take_events(events_);
  link.take_frames(effects);
  effects.closes.push_back(link.channel());
  stats_.closed_links += link.counters();
}

void TaskMachine::close_links(std::string_view reason, TimePoint now, link::Effects& effects) {
  for (auto& [channel, link] : links_) close_link(*link, reason, now, effects);
  links_.clear();
}

void TaskMachine::built(BuildAnswer answer, TimePoint now, link::Effects& effects) {
  if (answer.is_replacement) {
    if (!answer.error || phase_ == Phase::finished) return;
    effects.notify(Level::error,
                   "no thread can be put in the place of one that hangs: " + answer.error->message);
    finish("cannot make another instance of its tasks", kExitConfiguration, now, effects);
    return;
  }
  if (phase_ != Phase::building) return;
  if (answer.version != member_.directory().topology_version) {
    build_wanted_ = true;
    return;
  }
  if (answer.error) {
    effects.notify(Level::error, "the topology cannot be built here: " + answer.error->message,
                   {{"version", answer.version}});
    finish("cannot build the topology", kExitConfiguration, now, effects);
    return;
  }
  version_ = std::move(answer.version);
  served_ = std::move(answer.tasks);
  served_ids_.clear();
  stats_of_.clear();
  std::string names;
  for (const ServedTask& task : served_) {
    served_ids_.push_back(task.id);
    const auto id = static_cast<std::size_t>(task.id);
    if (stats_of_.size() <= id) stats_of_.resize(id + 1, nullptr);
    stats_of_[id] = &stats_.tasks[task.name];
    names += (names.empty() ? "" : ", ") + task.name;
  }
  queue_.serve(served_);
  set_taps(effects);
  phase_ = Phase::serving;
  effects.notify(Level::info, "serving",
                 {{"version", version_}, {"tasks", names}, {"threads", options_.threads}});
  register_node(now, effects);
  match_coordinators(now, effects);
}

}  // namespace tempest::task_node
