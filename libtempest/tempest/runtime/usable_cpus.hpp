#pragma once

#include <cstddef>
#include <string>

namespace tempest::runtime {

/// Returns how many CPUs this process may use at once, at least 1: those it may run on (taskset,
/// cpuset), and no more than the quota of its control group and of the groups around that allows,
/// rounded up. Not how many the machine has.
std::size_t usable_cpus();

/// Returns the quota of the control groups that `groups` (as /proc/self/cgroup) names, below the
/// folder `mounts` (as /sys/fs/cgroup), in CPUs; 0 if there is none. Reads both versions' files.
double cpu_quota(const std::string& groups, const std::string& mounts);

}  // namespace tempest::runtime
