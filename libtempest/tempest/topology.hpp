#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tempest/base/result.hpp"
#include "tempest/base/settings.hpp"
#include "tempest/base/time.hpp"
#include "tempest/dag/graph.hpp"

/// A topology as data: what a Topology.toml says (runtime/topology_file.hpp), or what a program
/// puts together with TopologyBuilder.
namespace tempest {

/// A source, a sink or a dead-letter sink: which kind, and how it is set up.
struct Endpoint {
  std::string type;
  Settings settings;
};

struct SourceDefinition {
  Endpoint endpoint;
  /// The most messages read but not yet acked, and their payload.
  std::uint64_t max_pending = 20'000;
  std::uint64_t max_pending_bytes = 64ULL << 20;
  /// After an empty poll: wait this long, then twice as long, and so on to max_backoff and never
  /// beyond it.
  Duration poll_interval = std::chrono::milliseconds(10);
  Duration max_backoff = std::chrono::seconds(1);
  /// The most messages asked for in one poll.
  std::uint64_t read_count = 1'000;
  /// True: acked as they come, in batches. False: one by one, each confirmed before the next.
  bool ack_in_batches = true;
  /// False: the source forgets a message as it gives it out, and what a crash takes is lost.
  bool acks = true;
  /// Acks wait this long for others to go with them. Zero: not at all.
  Duration ack_interval{0};
  /// The longest a poll may wait at the source for something to come. Zero: not at all.
  Duration block = std::chrono::seconds(1);
};

/// One task of the pipeline.
struct TaskDefinition {
  std::string name;
  /// "library:Task", or a built-in's name.
  std::string uses;
  struct Input {
    std::string task;
    std::string output;  ///< Empty: the plain edge.
  };
  /// The tasks whose outputs it takes; none: it takes the source's messages.
  std::vector<Input> after;
  dag::Grouping grouping = dag::Grouping::shuffle;
  dag::Gather gather = dag::Gather::none;
  /// The time for one delivery, from being sent to a worker to its result; without one of its own
  /// [failure] task_timeout. Zero: only the tree's.
  Duration timeout{0};
  /// A user's task's `config` table, or the built-in's own (`sleep`, `fail`, `sink`).
  Settings config;
};

enum class FailurePolicy : std::uint8_t {
  none,         ///< Left unacked, for the source's own redelivery.
  best_effort,  ///< Acked all the same.
  retry,        ///< Tried again; when attempts are used up, dead-lettered.
};

struct Backoff {
  Duration initial = std::chrono::milliseconds(100);
  double factor = 2.0;
  Duration max = std::chrono::seconds(30);
  /// The share (0 to 1) of each wait that is drawn at random: 0.2 gives 80 % to 100 % of it.
  double jitter = 0.2;
};

/// What is done about a failure.
struct FailureRule {
  FailurePolicy policy = FailurePolicy::retry;
  std::uint32_t max_attempts = 5;
  Backoff backoff;
};

/// Whoever decides about messages that have failed (failure.hpp).
struct FailureHandlerDefinition {
  std::string uses;  ///< "library:Handler".
  Settings config;
};

struct FailureDefinition {
  FailurePolicy policy = FailurePolicy::retry;
  /// How long a message, with all that comes of it, may be worked on; waiting does not count. Zero:
  /// no limit.
  Duration timeout = std::chrono::seconds(30);
  /// How long one call may take, of a task that has no timeout of its own. Zero: no limit.
  Duration task_timeout{0};
  /// How old a message may get, since it was read, before it is given up. Zero: any age.
  Duration max_age{0};
  std::uint32_t max_attempts = 5;
  Backoff backoff;
  std::optional<Endpoint> dead_letter;
  /// In place of policy, max_attempts and backoff: for what failed, and for what took too long (a
  /// delivery or the whole tree).
  std::optional<FailureRule> on_error;
  std::optional<FailureRule> on_timeout;
  /// Asked once the above would do no more for a message.
  std::optional<FailureHandlerDefinition> handler;

  FailureRule rule(bool is_timeout) const {
    const auto& own = is_timeout ? on_timeout : on_error;
    return own ? *own : FailureRule{policy, max_attempts, backoff};
  }
};

struct Topology {
  std::string name;
  std::vector<std::string> libraries;
  SourceDefinition source;
  std::vector<TaskDefinition> tasks;
  FailureDefinition failure;

  dag::Graph graph;     ///< Made of `tasks`, and valid.
  std::string version;  ///< 16 hexadecimal digits, made from the text.
  std::string text;     ///< As TOML, variables filled in: what goes over the wire.
};

/// Builds a topology in C++:
///
///     auto topology = TopologyBuilder("wordcount")
///                         .source("lines", settings)
///                         .task("split", "wordcount:Split")
///                         .task("count", "wordcount:Count").after("split").by_key()
///                         .build();
///
/// build() writes the same TOML a file would hold and reads it back, so both ways are one: what a
/// file may say is what may be said here, and its error (`configuration`) lists every fault. It
/// needs the library tempest::runtime, as all that runs topologies does.
class TopologyBuilder {
 public:
  explicit TopologyBuilder(std::string name);

  TopologyBuilder& library(std::string file);
  TopologyBuilder& source(std::string type, Settings settings = {});
  TopologyBuilder& task(std::string name, std::string uses, Settings config = {});
  /// These speak of the task added last.
  TopologyBuilder& after(std::string task, std::string output = {});
  TopologyBuilder& by_key();
  TopologyBuilder& to_all();
  TopologyBuilder& gather_each();
  TopologyBuilder& gather_all();
  TopologyBuilder& task_timeout(Duration timeout);
  /// The failure part; replaces it whole.
  TopologyBuilder& failure(FailureDefinition failure);

  Result<Topology> build() const;

 private:
  TaskDefinition& last_task();

  Topology topology_;
  bool has_failure_ = false;
  /// The first call that spoke of a task before there was one.
  std::string misuse_;
  TaskDefinition no_task_;
};

}  // namespace tempest
