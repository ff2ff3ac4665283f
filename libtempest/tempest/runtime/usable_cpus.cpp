#include "tempest/runtime/usable_cpus.hpp"

#include <sched.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <memory>
#include <optional>
#include <sstream>
#include <thread>

namespace tempest::runtime {
namespace {

/// The CPUs that the scheduler may put this process on. The set grows with the machine.
std::size_t cpus_of_affinity() {
  for (int most = CPU_SETSIZE; most <= 1 << 20; most *= 2) {
    const std::unique_ptr<cpu_set_t, void (*)(cpu_set_t*)> set(
        CPU_ALLOC(static_cast<std::size_t>(most)), [](cpu_set_t* made) { CPU_FREE(made); });
    if (set == nullptr) break;
    const std::size_t size = CPU_ALLOC_SIZE(static_cast<std::size_t>(most));
    if (::sched_getaffinity(0, size, set.get()) == 0) {
      return static_cast<std::size_t>(CPU_COUNT_S(size, set.get()));
    }
  }
  return std::thread::hardware_concurrency();
}

/// "max 100000" and "150000 100000" of cpu.max: version 2.
std::optional<double> quota_v2(const std::string& folder) {
  std::ifstream file(folder + "/cpu.max");
  double quota = 0;
  double period = 0;
  if (file >> quota >> period && quota > 0 && period > 0) return quota / period;
  return std::nullopt;
}

/// Two files of one number each; a quota of -1 is none.
std::optional<double> quota_v1(const std::string& folder) {
  std::ifstream quota_file(folder + "/cpu.cfs_quota_us");
  std::ifstream period_file(folder + "/cpu.cfs_period_us");
  double quota = 0;
  double period = 0;
  if (quota_file >> quota && period_file >> period && quota > 0 && period > 0) {
    return quota / period;
  }
  return std::nullopt;
}

/// The least quota of a group and of those around it. `group` begins with a slash, as it stands in
/// /proc/self/cgroup; in a container it may name a folder outside, of which only the root is seen.
double least_quota(const std::string& root, std::string group,
                   std::optional<double> (*quota_of)(const std::string&)) {
  double least = 0;
  for (;;) {
    if (const auto quota = quota_of(root + group); quota && (least == 0 || *quota < least)) {
      least = *quota;
    }
    const std::size_t slash = group.rfind('/');
    if (slash == std::string::npos) return least;
    group.resize(slash);
  }
}

bool names_cpu(const std::string& controllers) {
  std::istringstream names(controllers);
  for (std::string name; std::getline(names, name, ',');) {
    if (name == "cpu") return true;
  }
  return false;
}

}  // namespace

double cpu_quota(const std::string& groups, const std::string& mounts) {
  std::ifstream file(groups);
  double least = 0;
  for (std::string line; std::getline(file, line);) {
    // "0::/a/b" in version 2, "4:cpu,cpuacct:/a/b" in version 1.
    const std::size_t first = line.find(':');
    const std::size_t second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const std::string group = line.substr(second + 1);
    double quota = 0;
    if (controllers.empty()) {
      quota = least_quota(mounts, group, quota_v2);
    } else if (names_cpu(controllers)) {
      quota = least_quota(mounts + "/" + controllers, group, quota_v1);
      if (quota == 0) quota = least_quota(mounts + "/cpu", group, quota_v1);
    }
    if (quota > 0 && (least == 0 || quota < least)) least = quota;
  }
  return least;
}

std::size_t usable_cpus() {
  std::size_t cpus = std::max<std::size_t>(cpus_of_affinity(), 1);
  const double quota = cpu_quota("/proc/self/cgroup", "/sys/fs/cgroup");
  if (quota > 0) {
    // Half a CPU is one thread that is stopped half of the time.
    cpus = std::min(cpus, std::max<std::size_t>(static_cast<std::size_t>(std::ceil(quota)), 1));
  }
  return cpus;
}

}  // namespace tempest::runtime
