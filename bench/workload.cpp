#include "bench/workload.hpp"

#include <sstream>

namespace tempest::bench {

namespace {

// How many words a sentence of the workload wordcount has.
constexpr std::uint64_t kWordsEach = 8;

std::string source_text(const Settings& settings) {
  std::ostringstream text;
  text << "[source]\n";
  if (settings.workload == "redis" || settings.workload == "idle") {
    text << "type = \"redis_stream\"\nuri = \"" << settings.redis << "\"\nkey = \"" << kStreamKey
         << "\"\nfield = \"" << kStreamField << "\"\n";
  } else {
    text << "type = \"generator\"\ncount = " << settings.count << "\nsize = " << settings.size_bytes
         << "\nrate = " << settings.rate << "\n";
  }
  if (settings.in_flight > 0) {
    const std::uint64_t bytes = settings.in_flight * (settings.size_bytes + 64);
    text << "max_pending = " << settings.in_flight << "\n";
    if (bytes > (64ULL << 20)) text << "max_pending_bytes = " << bytes << "\n";
  }
  return text.str();
}

}  // namespace

const std::vector<Workload>& workloads() {
  static const std::vector<Workload> all = {
      {"relay", "a source, one task that drops, acks: what a message costs"},
      {"chain", "--depth tasks in a row, the last of which drops: what a hop costs"},
      {"fan", "one task that makes --fan-out messages of each, one that drops them"},
      {"wordcount", "sentences into words, words counted, grouped by key"},
      {"redis", "a Redis stream in, one task that drops, acks at the stream"},
      {"latency",
       "two tasks in workers of their own, at --rate: from when a message was due to "
       "its ack"},
      {"idle", "a Redis stream without entries: what nodes take while nothing moves"},
      {"memory", "--in-flight messages that are not done: what they take in each node"},
  };
  return all;
}

std::vector<BenchTask> tasks_of(const Settings& settings) {
  std::vector<BenchTask> tasks;
  if (settings.workload == "fan") {
    return {{"fan", "bench_tasks:Fan", "shuffle", 1},
            {"drop", "drop", "shuffle", settings.fan_out}};
  }
  if (settings.workload == "memory") return {{"sleep", "sleep", "shuffle", 1}};
  if (settings.workload == "wordcount") {
    return {{"split", "bench_tasks:Split", "shuffle", 1},
            {"count", "bench_tasks:Count", "key", kWordsEach}};
  }
  for (std::size_t i = 1; i < settings.depth; ++i) {
    tasks.push_back({"hop-" + std::to_string(i), "identity", "shuffle", 1});
  }
  tasks.push_back({"drop", "drop", "shuffle", 1});
  return tasks;
}

std::string topology_text(const Settings& settings) {
  std::ostringstream text;
  text << "name = \"" << kTopologyName << "\"\n";
  const std::vector<BenchTask> tasks = tasks_of(settings);
  for (const BenchTask& task : tasks) {
    if (task.uses.find(':') == std::string::npos) continue;
    text << "libraries = [\"" << settings.library << "\"]\n";
    break;
  }
  text << "\n" << source_text(settings);
  std::string before;
  for (const BenchTask& task : tasks) {
    text << "\n[[task]]\nname = \"" << task.name << "\"\nuses = \"" << task.uses << "\"\n";
    if (!before.empty()) text << "after = [\"" << before << "\"]\n";
    if (task.grouping != "shuffle") text << "grouping = \"" << task.grouping << "\"\n";
    if (task.name == "fan") text << "config = { outputs = " << settings.fan_out << " }\n";
    if (task.name == "split") text << "config = { words = " << kWordsEach << " }\n";
    if (task.name == "sleep") text << "sleep = { time = \"1h\" }\n";
    before = task.name;
  }
  // Nothing of it is to be given up.
  if (settings.workload == "memory") text << "\n[failure]\ntimeout = \"0s\"\n";
  return text.str();
}

}  // namespace tempest::bench
