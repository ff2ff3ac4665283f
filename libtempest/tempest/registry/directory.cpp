#include "tempest/registry/directory.hpp"

#include <algorithm>

namespace tempest::registry {
namespace {

wire::Directory::Worker view_of(const Directory::Worker& worker) {
  return {
      worker.name, worker.incarnation, {worker.tasks.begin(), worker.tasks.end()}, worker.absences};
}

Directory::Worker own(const wire::Directory::Worker& worker) {
  return {std::string(worker.name),
          worker.incarnation,
          {worker.tasks.begin(), worker.tasks.end()},
          worker.absences};
}

}  // namespace

wire::Registration view_of(const Registration& registration) {
  wire::Registration view;
  view.endpoint = registration.endpoint;
  view.topology_version = registration.topology_version;
  view.topology_text = registration.topology_text;
  view.tasks.assign(registration.tasks.begin(), registration.tasks.end());
  view.state = registration.state;
  return view;
}

Registration own(const wire::Registration& registration) {
  Registration owned;
  owned.endpoint = registration.endpoint;
  owned.topology_version = registration.topology_version;
  owned.topology_text = registration.topology_text;
  owned.tasks.assign(registration.tasks.begin(), registration.tasks.end());
  owned.state = registration.state;
  return owned;
}

wire::Directory view_of(const Directory& directory, std::uint64_t revision) {
  wire::Directory view;
  view.revision = revision;
  view.topology = directory.topology;
  view.topology_version = directory.topology_version;
  view.topology_text = directory.topology_text;
  for (const Directory::Coordinator& coordinator : directory.coordinators) {
    view.coordinators.push_back({coordinator.name, coordinator.incarnation, coordinator.endpoint,
                                 coordinator.topology_version});
  }
  for (const Directory::Worker& worker : directory.workers) {
    view.workers.push_back(view_of(worker));
  }
  view.slots_revision = directory.slots_revision;
  view.slots_settled = directory.slots_settled;
  for (const Directory::Held& held : directory.held) {
    view.held.push_back({held.coordinator, held.task, held.slots});
  }
  view.watches = directory.watches;
  return view;
}

Directory own(const wire::Directory& directory) {
  Directory owned;
  owned.topology = directory.topology;
  owned.topology_version = directory.topology_version;
  owned.topology_text = directory.topology_text;
  for (const wire::Directory::Coordinator& coordinator : directory.coordinators) {
    owned.coordinators.push_back({std::string(coordinator.name), coordinator.incarnation,
                                  std::string(coordinator.endpoint),
                                  std::string(coordinator.topology_version)});
  }
  for (const wire::Directory::Worker& worker : directory.workers) {
    owned.workers.push_back(own(worker));
  }
  // A broker sorts them already, but what all nodes are to make the same table of must not depend
  // on that.
  std::sort(owned.coordinators.begin(), owned.coordinators.end(),
            [](const auto& left, const auto& right) { return left.name < right.name; });
  std::sort(owned.workers.begin(), owned.workers.end(),
            [](const auto& left, const auto& right) { return left.name < right.name; });
  owned.slots_revision = directory.slots_revision;
  owned.slots_settled = directory.slots_settled;
  for (const wire::Directory::Held& held : directory.held) {
    owned.held.push_back(
        {std::string(held.coordinator), std::string(held.task), std::string(held.slots)});
  }
  owned.watches = directory.watches;
  return owned;
}

wire::SlotSettlement view_of(const SlotReport& report) {
  wire::SlotSettlement view;
  view.slots_revision = report.slots_revision;
  for (const SlotReport::Held& held : report.held) view.held.push_back({held.task, held.slots});
  for (const Directory::Worker& worker : report.attached) view.attached.push_back(view_of(worker));
  for (const SlotReport::Missing& missing : report.missing) {
    view.missing.push_back({missing.name, missing.incarnation});
  }
  return view;
}

SlotReport own(const wire::SlotSettlement& settlement) {
  SlotReport owned;
  owned.slots_revision = settlement.slots_revision;
  for (const wire::SlotSettlement::Held& held : settlement.held) {
    owned.held.push_back({std::string(held.task), std::string(held.slots)});
  }
  for (const wire::Directory::Worker& worker : settlement.attached) {
    owned.attached.push_back(own(worker));
  }
  for (const wire::SlotSettlement::Missing& missing : settlement.missing) {
    owned.missing.push_back({std::string(missing.name), missing.incarnation});
  }
  return owned;
}

}  // namespace tempest::registry
