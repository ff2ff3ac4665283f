#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "broker/broker_node.hpp"
#include "source_node/source_node.hpp"
#include "tempest/base/result.hpp"
#include "tempest/base/time.hpp"
#include "tempest/runtime/node_loop.hpp"
#include "tempest/runtime/topology_libraries.hpp"
#include "tempest/runtime/transport.hpp"
#include "tempest/topology.hpp"

namespace tempest::cli {

struct StandaloneOptions {
  std::size_t workers = 1;
  std::size_t threads = 1;         ///< Of each worker.
  bool exit_when_drained = false;  ///< And in any case when a finite source has ended.
  /// Where the broker listens, for `tempest ls`, `trace` and `tap`; empty: within this process.
  std::string bind;
  std::string consumer;
  std::string record;                                                 ///< As in SourceNodeOptions.
  std::function<Result<std::unique_ptr<Source>>()> make_source = {};  ///< Likewise.
  runtime::LibraryPlaces libraries;
  Duration drain_timeout = std::chrono::seconds(8);
};

/// A whole topology in this process: broker, coordinator, workers and source as they run on their
/// own, over inproc; coordinator and source share a thread, since they have most to say to each
/// other. Ends when the source does; the others follow. Where a task does not come back from its
/// call within the drain timeout, the destructor ends the process with exit_code().
class Standalone {
 public:
  Standalone(Topology topology, StandaloneOptions options);
  ~Standalone();
  Standalone(const Standalone&) = delete;
  Standalone& operator=(const Standalone&) = delete;

  /// Opens everything and starts the threads. Before that nothing runs.
  Result<void> start();

  /// Asks the source to drain and end. Async-signal-safe.
  void request_stop(bool at_once);

  /// Waits up to `patience` for the end; true once everything has ended.
  bool wait(Duration patience);

  /// After the end: 0, or the first node's exit code that was not.
  int exit_code() const { return exit_code_; }

  /// After the end: how many deliveries each task has done.
  std::map<std::string, std::uint64_t> handled() const;

  /// After the end: how many messages tasks have emitted that no edge takes, by "task:output"
  /// ("task" for those without a name).
  std::map<std::string, std::uint64_t> untaken() const;

  source_node::SourceSummary summary() const { return source_->summary(); }

 private:
  /// A node and its loop.
  struct Part {
    std::unique_ptr<runtime::NodeLoop> loop;
    std::unique_ptr<runtime::Node> node;
    bool ended = false;  ///< Under mutex_, once there is a thread.
  };

  runtime::NodeLoop& add_loop(Part& part, const link::Identity& self, const std::string& bind);
  Result<void> add_coordinator();
  void add_worker(std::size_t number);
  void add_source();
  void run_parts(const std::vector<Part*>& parts);
  void part_ended(Part& part, int exit_code);
  TimePoint patience_ends_at() const;
  void end_all();

  Topology topology_;
  StandaloneOptions options_;
  link::Settings link_;
  std::string broker_endpoint_;
  runtime::Transport transport_;
  std::unique_ptr<broker::Broker> broker_;
  std::thread broker_thread_;
  std::vector<std::unique_ptr<Part>> parts_;
  std::vector<std::thread> threads_;
  Part* coordinator_part_ = nullptr;
  Part* source_part_ = nullptr;
  source_node::SourceNode* source_ = nullptr;

  std::mutex mutex_;
  std::condition_variable ended_;
  bool ending_ = false;  ///< Under mutex_: the source, or a node that should not have, has ended.
  bool over_ = false;
  bool hangs_ = false;  ///< A task has not come back: its thread cannot be joined.
  /// When a stop was first requested, in TimePoint's units; 0: it was not.
  std::atomic<Duration::rep> stopped_at_{0};
  int exit_code_ = 0;
};

}  // namespace tempest::cli
