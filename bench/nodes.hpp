#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bench/child.hpp"
#include "bench/flow_check.hpp"
#include "bench/stats_watch.hpp"
#include "bench/workload.hpp"
#include "source_node/flow_record.hpp"
#include "tempest/base/result.hpp"
#include "tempest/runtime/scratch_folder.hpp"

namespace tempest::bench {

/// The processes of one run: broker, coordinator, workers and source, or one of `tempest run`.
/// Everything of it is in a folder of its own, which goes with it.
class Nodes {
 public:
  /// Writes the topology, and starts all but the source.
  static Result<std::unique_ptr<Nodes>> start(const Settings& settings);
  ~Nodes();
  Nodes(const Nodes&) = delete;
  Nodes& operator=(const Nodes&) = delete;

  /// Under this name, which is unlike any other's (of Transport::process it is all there is). It
  /// ends with its source, or stays.
  Result<void> start_source(const std::string& name, bool ends);
  /// Nothing until the source is open.
  std::optional<source_node::FlowRecordFile> record() const;

  std::vector<Child>& children() { return children_; }
  /// What the nodes report; not of Transport::process.
  StatsWatch& watch() { return *watch_; }
  /// The node whose end is everybody's.
  Child& source() { return children_.back(); }

  /// After the source's end: ends the others, and asks what was handled. Errors: `unavailable`.
  Result<NodeCounts> finish();
  /// What the nodes wrote on standard error.
  std::string log() const;

 private:
  explicit Nodes(const Settings& settings);

  Result<void> add(const std::string& name, const std::string& program,
                   std::vector<std::string> arguments);
  Result<NodeCounts> finish_processes();
  Result<NodeCounts> finish_one();
  std::string file(const std::string& name) const { return folder_.file(name); }

  Settings settings_;
  runtime::ScratchFolder folder_{"tempest-bench-"};
  std::string broker_;
  std::vector<Child> children_;
  std::unique_ptr<StatsWatch> watch_;
};

/// What a node of this name is: "task" of "task-3".
std::string kind_of(const std::string& node);
/// Three ports in a row that are free now.
std::uint16_t free_ports();

}  // namespace tempest::bench
