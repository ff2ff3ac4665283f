#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "tempest/base/time.hpp"

namespace tempest::bench {

enum class Transport : std::uint8_t { tcp, ipc, process };

/// What is run, and how; 0 or empty: the product's own default.
struct Settings {
  std::string workload;
  Transport transport = Transport::tcp;
  std::size_t size_bytes = 100;
  std::uint64_t count = 0;  ///< Messages of a run; 0: as many as there are in `seconds`.
  Duration time = std::chrono::seconds(3);
  Duration warm_up = std::chrono::milliseconds(500);
  std::size_t depth = 1;
  std::size_t fan_out = 1;
  std::size_t workers = 1;
  std::size_t threads = 1;  ///< Of each worker.
  std::uint64_t rate = 0;   ///< Messages per second; 0: as fast as they are taken.
  std::uint64_t in_flight = 0;
  std::size_t sources = 1;  ///< Of the workload memory.
  bool count_syscalls = false;
  bool separate = false;  ///< Each task in a worker of its own.
  std::string redis;      ///< Where the stream is, for the workload redis.
  std::string library;    ///< The file of the tasks that are no built-ins.
};

struct Workload {
  std::string name;
  std::string summary;
};

/// All there are, in the order of --list.
const std::vector<Workload>& workloads();

/// One task of a workload's pipeline.
struct BenchTask {
  std::string name;
  std::string uses;
  std::string grouping = "shuffle";
  std::uint64_t handled_each = 1;  ///< How many deliveries of it each source message makes.
};

/// A chain: each task takes the outputs of the one before.
std::vector<BenchTask> tasks_of(const Settings& settings);

inline constexpr const char* kTopologyName = "bench";
inline constexpr const char* kStreamKey = "tempest-bench";
inline constexpr const char* kStreamField = "payload";

/// The Topology.toml of it.
std::string topology_text(const Settings& settings);

}  // namespace tempest::bench
