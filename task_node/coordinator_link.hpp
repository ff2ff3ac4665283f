#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "task_node/delivery_queue.hpp"
#include "task_node/execution.hpp"
#include "tempest/link/client.hpp"
#include "tempest/link/node.hpp"
#include "tempest/registry/directory.hpp"
#include "tempest/wire/frames.hpp"

namespace tempest::task_node {

/// A worker's side of what it has with one coordinator, at one endpoint: the link, the results
/// gathered for it, and the window it was last told. Its channel is never used for another.
class CoordinatorLink {
 public:
  CoordinatorLink(link::ChannelId channel, registry::Directory::Coordinator coordinator,
                  link::Identity self, const link::Settings& settings, std::uint64_t seed);

  link::ChannelId channel() const { return channel_; }
  const registry::Directory::Coordinator& coordinator() const { return coordinator_; }
  bool is_up() const { return client_.is_up(); }
  /// The session that is up, or the last that was.
  SessionRef session() const { return {channel_, session_}; }
  bool is_current(const SessionRef& session) const { return is_up() && session == this->session(); }
  bool all_confirmed() const { return client_.all_confirmed(); }
  link::Backlog backlog() const { return client_.backlog(); }
  const link::Counters& counters() const { return client_.counters(); }
  TimePoint next_turn() const { return client_.next_turn(); }

  void receive(std::string_view frame, TimePoint now) { client_.receive(frame, now, output_); }
  void turn(TimePoint now) { client_.turn(now, output_); }
  void close(std::string_view reason, TimePoint now) { client_.close(reason, now, output_); }

  void reset(TimePoint now) { client_.reset(now, output_); }

  /// What the link had to say since. An `up` begins a session: begin_session() is to be called.
  void take_events(std::vector<link::Event>& events);
  /// The same, behind what is in `events` already.
  void append_events(std::vector<link::Event>& events);
  /// Moves what is to be sent into the effects.
  void take_frames(link::Effects& effects);

  void begin_session() { ++session_; }
  /// Whether this is the link to that one.
  bool leads_to(const registry::Directory::Coordinator& listed) const;
  /// Forgets what was gathered. Returns how many results that were.
  std::size_t drop_results();

  void attach(std::string_view topology_version, const std::vector<TaskId>& tasks,
              const wire::Window& window, TimePoint now);
  /// Tells the coordinator, if it differs enough from what it was told, and long enough ago, to be
  /// worth a frame.
  void adjust_window(const wire::Window& window, TimePoint now);
  /// Nothing more is to be sent here.
  void close_window(TimePoint now);

  /// Adds the result of a delivery of the current session. `execution` must stay as it is until the
  /// next flush(). Sends by itself when a frame is full.
  void add_result(const Execution& execution, std::size_t delivery, TimePoint now);
  /// Adds what was fused in it, for the coordinator to count.
  void add_fused(const Execution& execution);
  /// One without outputs. `reason` must stay as it is until the next flush().
  void add_result(DeliveryId id, wire::Results::Status status, std::string_view reason,
                  TimePoint now, std::uint32_t handled_us = 0);
  /// A running delivery of the current session wants more time.
  void extend(const Extension& extension, TimePoint now);
  /// Sends what was gathered.
  void flush(TimePoint now);

 private:
  template <typename Body>
  void send(const Body& body, TimePoint now);

  link::ChannelId channel_;
  registry::Directory::Coordinator coordinator_;
  link::Client client_;
  link::Output output_;
  std::uint32_t session_ = 0;
  wire::Results results_;
  std::size_t results_bytes_ = 0;
  wire::Window told_;
  TimePoint told_at_{};
};

}  // namespace tempest::task_node
