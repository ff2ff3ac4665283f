#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "pipeline_node/attempt_log.hpp"
#include "pipeline_node/away_log.hpp"
#include "pipeline_node/roll_call.hpp"
#include "pipeline_node/timeout_log.hpp"
#include "tempest/base/stall_watch.hpp"
#include "tempest/link/node.hpp"
#include "tempest/link/server.hpp"
#include "tempest/registry/member.hpp"
#include "tempest/topology.hpp"
#include "tempest/tracking/scheduler.hpp"
#include "tempest/tracking/tracker.hpp"
#include "tempest/watch/sighting_log.hpp"
#include "tempest/wire/codec.hpp"
#include "tempest/wire/frames.hpp"

namespace tempest::pipeline_node {

struct PipelineSettings {
  std::vector<std::string> brokers;
  std::string endpoint;  ///< At which sources and workers reach this coordinator.
  link::Settings link;
  Duration drain_timeout = std::chrono::seconds(8);
  /// The credit of each source: its messages, and payload, that may be unfinished here.
  std::uint64_t source_window_messages = 65'536;
  std::uint64_t source_window_bytes = 64ULL << 20;
  tracking::QueueLimits queue_limits;
  /// Sources get no credit before so many workers are there for the first time: so that key slots
  /// are shared out among all of them from the first message on.
  std::size_t min_workers = 0;
  /// Messages in flight and none of their deliveries done for this long: said to be stalled.
  Duration stall_after = std::chrono::seconds(10);
};

/// The coordinator's decisions. Takes messages from sources, has their deliveries done by workers
/// (tracking/), and tells each source what became of its messages. Pure: see link/node.hpp for
/// what drives it.
///
/// What comes in is only noted; turn() hands out what waits and sends what was gathered, many
/// items to a frame. A driver calls turn() after everything that could be read has been.
class PipelineMachine {
 public:
  PipelineMachine(link::Identity self, PipelineSettings settings, Topology topology,
                  std::uint64_t seed);
  PipelineMachine(const PipelineMachine&) = delete;
  PipelineMachine& operator=(const PipelineMachine&) = delete;

  void start(TimePoint now, link::Effects& effects);
  void receive(const link::FrameReceived& received, TimePoint now, link::Effects& effects);
  void turn(TimePoint now, link::Effects& effects);
  TimePoint next_turn() const;
  /// Takes no more messages, finishes those it has within the drain timeout, says goodbye.
  void stop(bool at_once, TimePoint now, link::Effects& effects);

  void report(TimePoint now, wire::StatsReport& report) const;

  /// Returns what people are shown of it: that it is stalled, or what it waits for.
  std::string state() const;

  const tracking::Tracker& tracker() const { return tracker_; }
  const tracking::Scheduler& scheduler() const { return scheduler_; }
  /// Every delivery there is a record of, those of ended trees that workers still have included.
  std::size_t delivery_count() const { return table_.size(); }
  const tracking::DeliveryTable& deliveries() const { return table_; }

 private:
  /// What is known of a peer with a live session; by PeerId::slot.
  struct Peer {
    PeerId id;
    bool live = false;
    Role role{};
    std::string name;
    Incarnation incarnation;
    /// A worker's number at the scheduler, once it has attached.
    std::optional<std::uint32_t> worker;
    /// It has started a suspect: its results are confirmed at once, since it waits for that.
    bool runs_suspect = false;
    /// What a source is still to be told.
    std::vector<MessageId> acked;
    std::deque<tracking::FailedMessage> failed;
    std::vector<MessageId> returned;
    /// wire::failure_cost() of the failed messages that a source may be told of, and has been.
    std::uint64_t failures_granted = UINT64_MAX;
    std::uint64_t failures_told = 0;
  };
  /// Deliveries on their way to one worker; by worker number.
  struct Batch {
    PeerId peer;
    wire::Deliveries deliveries;
    std::size_t bytes = 0;
  };

  void handle(const link::Event& event, const SharedBytes& frame, TimePoint now);
  void peer_up(const link::Event& event);
  void peer_lost(const link::Event& event, TimePoint now);
  void receive_body(Peer& peer, const link::Event& event, const SharedBytes& frame, TimePoint now);
  void attach(Peer& peer, std::string_view body, TimePoint now);
  void receive_window(Peer& peer, std::string_view body);
  void receive_messages(Peer& peer, std::string_view body, const SharedBytes& frame, TimePoint now);
  void receive_results(Peer& peer, std::string_view body, const SharedBytes& frame, TimePoint now);
  bool lead_along_edges(const wire::Results& results) const;
  void acknowledge(const wire::Results::Item& item, std::uint32_t worker, const SharedBytes& frame,
                   TimePoint now);
  void malformed(const Peer& peer, const Error& error);
  void send_window(const Peer& peer, std::uint64_t messages, std::uint64_t bytes, TimePoint now);
  /// Gives every source its credit, once enough workers are there.
  void open_if_ready(TimePoint now);

  /// Carries a link's output out: its frames become effects, its events are handled.
  void carry_out(const SharedBytes& frame, TimePoint now, link::Effects& effects);
  void directory_changed();
  /// Follows who owns which key slots, and says what of them is in flight here.
  void keep_slots(TimePoint now, link::Effects& effects);
  void assign_slots();
  void heed_other_coordinators(TimePoint now);
  void report_slots(TimePoint now, link::Effects& effects);
  void watch_strays(TimePoint now);
  TimePoint next_slot_turn() const;
  std::string describe_slot_wait(TaskId task) const;
  void hand_out(TimePoint now);
  void hand_out_ready(TimePoint now);
  void send_batch(Batch& batch, TimePoint now);
  void add_to_batch(Batch& batch, std::uint32_t delivery);
  static void add_part(Batch& batch, const tracking::Delivery& delivery);
  void sort_outcomes();
  void send_outcomes(Peer& peer, TimePoint now);
  void send_failed(Peer& peer, TimePoint now);
  void publish_traces(TimePoint now, link::Effects& effects);
  void finish_if_drained(TimePoint now, link::Effects& effects);
  void watch_for_stall(TimePoint now, link::Effects& effects);
  /// Why nothing moves, as far as can be seen from here.
  std::string stall_cause() const;
  void show_state(std::string shown, TimePoint now, link::Effects& effects);
  void note_result(const Peer& peer, const wire::Results::Item& item, TimePoint now);
  void note_away(const Peer& peer, DeliveryId id, std::string_view cause, TimePoint now);
  void note_fused_failure(const wire::Results::Output& output, std::uint32_t worker, TimePoint now);
  /// A delivery came back with an error, to be tried again.
  void note_attempt(const Peer& peer, DeliveryId id, std::string_view reason, TimePoint now);

  template <typename Body>
  void send(PeerId peer, const Body& body, TimePoint now);

  link::Identity self_;
  PipelineSettings settings_;
  Topology topology_;
  tracking::DeliveryTable table_;
  tracking::Scheduler scheduler_;
  tracking::Tracker tracker_;
  registry::Member member_;
  link::Server server_;
  link::Output output_;
  watch::SightingLog sightings_;
  std::vector<link::Notice> notices_;  ///< Of this step; moved into its effects.

  std::vector<Peer> peers_;
  std::vector<Batch> batches_;
  std::vector<bool> blocked_;
  std::vector<tracking::Scheduler::Assignment> assignments_;

  // Key slots.
  RollCall roll_call_;
  std::vector<tracking::Scheduler::DirectoryWorker> slot_workers_;
  std::uint64_t slot_workers_revision_ = 0;
  bool is_report_due_ = false;
  TimePoint report_after_{};
  bool knows_workers_ = false;
  /// When the other coordinators are waited for no longer, since no broker says anything of them.
  TimePoint alone_at_ = kNever;
  bool is_alone_ = false;
  TimePoint strayed_since_ = kNever;
  bool strays_said_ = false;

  StallWatch stall_watch_;
  std::string stall_;  ///< Why nothing moves; empty while something does.
  TimeoutLog timeout_log_;
  AwayLog away_log_;
  AttemptLog attempt_log_;
  bool open_ = false;  ///< Sources have credit.
  bool draining_ = false;
  bool closed_ = false;
  TimePoint drain_until_ = kNever;
  std::uint64_t malformed_bodies_ = 0;
  std::uint64_t messages_returned_ = 0;
  std::size_t failed_waiting_ = 0;  ///< Failed messages that their sources have no room for.

  // Decoded bodies and what is made of them; kept for their capacity.
  wire::Messages messages_;
  wire::Results results_;
  wire::Outcomes outcomes_;
  std::vector<tracking::Tracker::Output> outputs_;
  std::vector<tracking::Tracker::Failure> fused_failures_;
};

template <typename Body>
void PipelineMachine::send(PeerId peer, const Body& body, TimePoint now) {
  server_.send(peer, wire::kKindOf<Body>, wire::data_frame(body), now, output_);
}

}  // namespace tempest::pipeline_node
