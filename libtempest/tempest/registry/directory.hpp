#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tempest/base/ids.hpp"
#include "tempest/wire/frames.hpp"

namespace tempest::registry {

/// What a node says of itself; the owning twin of wire::Registration. (What that says of the past,
/// slots_revision and age, is the Member's to fill in.)
struct Registration {
  std::string endpoint;
  std::string topology_version;
  std::string topology_text;
  std::vector<std::string> tasks;
  std::string state = "running";

  bool operator==(const Registration&) const = default;
};

/// What a node knows of its topology; the owning twin of wire::Directory. Sorted by name.
struct Directory {
  std::string topology;
  std::string topology_version;
  std::string topology_text;

  struct Coordinator {
    std::string name;
    Incarnation incarnation;
    std::string endpoint;
    std::string topology_version;

    bool operator==(const Coordinator&) const = default;
  };
  std::vector<Coordinator> coordinators;

  struct Worker {
    std::string name;
    Incarnation incarnation;
    std::vector<std::string> tasks;
    std::uint64_t absences = 0;

    bool operator==(const Worker&) const = default;
  };
  std::vector<Worker> workers;
  std::uint64_t slots_revision = 0;
  std::uint64_t slots_settled = 0;
  struct Held {
    std::string coordinator;
    std::string task;
    std::string slots;

    bool operator==(const Held&) const = default;
  };
  std::vector<Held> held;
  std::vector<wire::Watch> watches;

  bool operator==(const Directory&) const = default;
};

/// What a coordinator says of its key slots and its workers; the owning twin of
/// wire::SlotSettlement.
struct SlotReport {
  std::uint64_t slots_revision = 0;
  struct Held {
    std::string task;
    std::string slots;

    bool operator==(const Held&) const = default;
  };
  std::vector<Held> held;
  std::vector<Directory::Worker> attached;
  struct Missing {
    std::string name;
    Incarnation incarnation;

    bool operator==(const Missing&) const = default;
  };
  std::vector<Missing> missing;

  bool operator==(const SlotReport&) const = default;
};

/// Views live as long as what they were made of.
wire::Registration view_of(const Registration& registration);
Registration own(const wire::Registration& registration);
wire::Directory view_of(const Directory& directory, std::uint64_t revision);
Directory own(const wire::Directory& directory);
wire::SlotSettlement view_of(const SlotReport& report);
SlotReport own(const wire::SlotSettlement& settlement);

}  // namespace tempest::registry
