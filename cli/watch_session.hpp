#pragma once

#include <cstdint>
#include <future>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "cli/operator_node.hpp"
#include "tempest/base/result.hpp"
#include "tempest/runtime/bus_feed.hpp"
#include "tempest/runtime/command_line.hpp"
#include "tempest/runtime/node_loop.hpp"
#include "tempest/runtime/transport.hpp"
#include "tempest/wire/frames.hpp"

namespace tempest::cli {

/// A watch for as long as this lives: a link to each broker keeps it (and ends it, should this
/// process die), and what nodes see comes over the stats bus.
class WatchSession {
 public:
  /// Comes back once a broker has it; `unavailable` if none has within a few seconds.
  static Result<std::unique_ptr<WatchSession>> open(const std::vector<std::string>& brokers,
                                                    wire::Watch watch);
  ~WatchSession();
  WatchSession(const WatchSession&) = delete;
  WatchSession& operator=(const WatchSession&) = delete;

  /// What a node has seen; nothing if there is nothing within `patience`. By way of several brokers
  /// it comes once.
  std::optional<wire::Sightings> next(Duration patience);

  /// Of all nodes so far: messages that they chose from, what they had to leave out, and how often
  /// what they said did not arrive.
  struct Totals {
    std::uint64_t seen = 0;
    std::uint64_t left_out = 0;
    std::uint64_t frames_lost = 0;
  };
  Totals totals() const;

 private:
  WatchSession(const std::vector<std::string>& brokers, const wire::Watch& watch);
  /// False: it came before, by another way, or cannot be read.
  bool count(const wire::Sightings& sightings);

  struct NodeCounts {
    std::uint64_t first_sequence = 0;
    std::uint64_t last_sequence = 0;
    std::uint64_t frames = 0;
    std::uint64_t seen = 0;
    std::uint64_t left_out = 0;
  };

  runtime::Transport transport_;
  link::Identity self_;
  runtime::NodeLoop loop_;
  std::promise<void> heard_;  ///< Kept once a broker has the watch.
  OperatorNode node_;
  std::unique_ptr<runtime::BusFeed> feed_;
  std::map<Incarnation, NodeCounts> counts_;
  std::thread thread_;
};

/// The options that `tempest trace` and `tempest tap` share.
void add_watch_options(runtime::CommandLine& line, const char* limit_help, const char* limit);

struct WatchOptions {
  std::vector<std::string> brokers;
  wire::Watch watch;
  std::uint64_t limit = 0;
  Duration longest{0};  ///< Zero: no end.
  bool json = false;
};
/// Reads them after parse(); wrong values: line.failed().
WatchOptions read_watch_options(runtime::CommandLine& line);

/// Asks the brokers what runs, and puts the topology's name into the watch if there is but one.
/// Nothing: go on. A number: it has been said why not, end with it.
std::optional<int> find_watched(WatchOptions& options, const std::string& program);

/// One line on standard error: how much was chosen from, and what is missing.
void report_totals(const WatchSession& session, const std::string& program,
                   const std::string& shown);

}  // namespace tempest::cli
