#include "tempest/runtime/usable_cpus.hpp"

#include <sched.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

#include "tests/support/temporary_folder.hpp"

using namespace tempest::runtime;

namespace {

/// The files of control groups, in a folder of their own.
class Groups {
 public:
  explicit Groups(const std::string& own) : own_(folder_.write("cgroup", own)) {}

  void write(const std::string& group, const std::string& file, const std::string& text) {
    const std::filesystem::path path = std::filesystem::path(folder_.path("fs")) / group;
    std::filesystem::create_directories(path);
    std::ofstream(path / file) << text;
  }
  double quota() const { return cpu_quota(own_, folder_.path("fs")); }

 private:
  tempest::test::TemporaryFolder folder_;
  std::string own_;
};

}  // namespace

TEST_CASE("the least quota of a control group and those around it counts") {
  Groups groups("0::/a/b\n");
  CHECK(groups.quota() == 0);
  groups.write("a/b", "cpu.max", "max 100000\n");
  CHECK(groups.quota() == 0);
  groups.write("a", "cpu.max", "150000 100000\n");
  CHECK(groups.quota() == 1.5);
  groups.write("a/b", "cpu.max", "50000 100000\n");
  CHECK(groups.quota() == 0.5);
}

TEST_CASE("a container sees its own quota at the root") {
  Groups groups("0::/\n");
  groups.write("", "cpu.max", "200000 100000\n");
  CHECK(groups.quota() == 2);
}

TEST_CASE("the quota of version 1 is read where its controller is") {
  Groups groups("5:memory:/x\n4:cpu,cpuacct:/x\n");
  groups.write("cpu,cpuacct/x", "cpu.cfs_quota_us", "-1\n");
  groups.write("cpu,cpuacct/x", "cpu.cfs_period_us", "100000\n");
  CHECK(groups.quota() == 0);
  groups.write("cpu,cpuacct/x", "cpu.cfs_quota_us", "300000\n");
  CHECK(groups.quota() == 3);
}

TEST_CASE("a process that may run on one CPU uses one") {
  std::size_t cpus = 0;
  std::thread([&] {
    cpu_set_t before;
    REQUIRE(sched_getaffinity(0, sizeof before, &before) == 0);
    cpu_set_t one;
    CPU_ZERO(&one);
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
      if (!CPU_ISSET(cpu, &before)) continue;
      CPU_SET(cpu, &one);
      break;
    }
    REQUIRE(sched_setaffinity(0, sizeof one, &one) == 0);
    cpus = usable_cpus();
  }).join();
  CHECK(cpus == 1);
}
