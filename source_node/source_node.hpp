#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "source_node/plan.hpp"
#include "source_node/source_io.hpp"
#include "source_node/source_machine.hpp"
#include "tempest/runtime/name_claim.hpp"
#include "tempest/runtime/node_loop.hpp"
#include "tempest/runtime/topology_libraries.hpp"

namespace tempest::source_node {

/// What a person is shown of a source node while it runs, and at its end.
struct SourceSummary {
  SourceNumbers numbers;
  std::uint64_t queued = 0;  ///< Of the pending: not (or not any more) at a coordinator.
  std::size_t coordinators_up = 0;
  std::string state;  ///< "running", "draining", "stalled: ...", "finished".
  bool finished = false;
  std::string failure;  ///< Why it ended; empty if nothing was wrong.
};

struct SourceNodeOptions {
  SourceMachine::Options machine;
  /// The name under which the source reads, where it knows of such (a stream's consumer): the same
  /// at each start, and no other's. Empty: the host's name, or, where another living source of the
  /// topology has that, the first of HOST-2, HOST-3, ... that is free (runtime/name_claim.hpp).
  std::string consumer;
  /// Where a FlowRecord of the source is kept, for measurements; empty: nowhere.
  std::string record;
  /// Where a source or sink of a library comes from, besides what the topology names.
  runtime::LibraryPlaces libraries;
  /// In place of the source that the topology names.
  std::function<Result<std::unique_ptr<Source>>()> make_source = {};
};

/// A source node: the machine, and the thread that reads and acks for it.
class SourceNode : public runtime::Node {
 public:
  /// `loop` drives this node and outlives it.
  SourceNode(const SourceNodeOptions& options, runtime::NodeLoop& loop);
  ~SourceNode() override;

  void start(TimePoint now, link::Effects& effects) override;
  void receive(const link::FrameReceived& received, TimePoint now, link::Effects& effects) override;
  void woken(TimePoint now, link::Effects& effects) override;
  void turn(TimePoint now, link::Effects& effects) override;
  TimePoint next_turn() const override;
  std::unique_ptr<runtime::Call> take_call() override;
  bool is_call_thread_wanted() const override;
  void stop(bool at_once, TimePoint now, link::Effects& effects) override;
  void report(TimePoint now, wire::StatsReport& report) const override;

  /// As of the last turn. From any thread.
  SourceSummary summary() const;

 private:
  struct Published;

  void settle_end(link::Effects& effects);
  void publish();

  link::Identity identity_;
  SourceMachine machine_;
  std::unique_ptr<Published> published_;
  std::vector<Request> requests_;
  std::deque<Request> calls_;  ///< For the thread that may drive the loop.
  std::vector<Response> responses_;
  TimePoint started_at_{};
  std::unique_ptr<runtime::NameClaim> claimed_;  ///< The consumer's name, if none was given.
  SourceIo io_;                                  // The last: its thread is the first to end.
};

/// A topology's text as a source node's plan. Errors: `configuration`, with every fault.
Result<Plan> read_plan(const std::string& topology_text);

}  // namespace tempest::source_node
