#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tempest/base/histogram.hpp"
#include "tempest/base/ids.hpp"
#include "tempest/base/limits.hpp"

/// Everything that goes over a link, as plain structs. docs/protocol.md has the bytes.
///
/// A frame is a link header and, in data frames, one body. Views in decoded structs point into the
/// frame they were decoded from and live as long as it does; views in structs to be encoded need
/// only outlive the encoding. Decoding into a struct replaces its contents and keeps its capacity,
/// so that a reused struct costs no allocation.
namespace tempest::wire {

/// Raised when a change makes old and new nodes misunderstand each other.
inline constexpr std::uint64_t kProtocolVersion = 2;

// --- Link headers ------------------------------------------------------------------------------

enum class FrameType : std::uint8_t {
  hello = 1,      ///< From the side that opened the link, until welcomed.
  welcome = 2,    ///< The answer.
  data = 3,       ///< A numbered frame with a body.
  heartbeat = 4,  ///< Says "alive" and what has arrived.
  reset = 5,      ///< "I know of no such session": the other side gives the session up.
  bye = 6,        ///< An orderly end, or a HELLO turned down.
  stats = 7,      ///< On the stats bus, never on a link.
  sightings = 8,  ///< The same.
};

struct Hello {
  std::uint64_t protocol = kProtocolVersion;
  std::uint64_t hello = 0;  ///< Drawn by the opener for each session it wants.
  Role role = Role::operator_;
  std::string_view name;
  Incarnation incarnation;
  std::string_view topology;   ///< Empty where the node serves none.
  std::uint64_t lease_ms = 0;  ///< How long silence from the opener may last.
  /// Whom the opener means to reach, by what the directory says. Empty, and all zeros: whoever
  /// answers at that address.
  std::string_view wanted_name;
  Incarnation wanted_incarnation;
};

struct Welcome {
  std::uint64_t protocol = kProtocolVersion;
  std::uint64_t hello = 0;  ///< The HELLO's, whose answer this is.
  /// Names the session in every later frame, of either side. Another for each session that an
  /// accepter begins, and never that of another incarnation's.
  std::uint64_t session = 0;
  Role role = Role::broker;
  std::string_view name;
  Incarnation incarnation;
  std::uint64_t lease_ms = 0;  ///< How long silence from the accepter may last.
  std::string_view topology;   ///< Empty where the node serves none, or all.
};

struct Heartbeat {
  std::uint64_t session = 0;
  std::uint64_t ack = 0;  ///< Every data frame up to this number has arrived.
  bool missing = false;   ///< A later one has arrived too: send again from ack + 1, now.
};

struct Reset {
  std::uint64_t session = 0;  ///< Or the number of a HELLO that must be drawn anew.
};

struct Bye {
  std::uint64_t session = 0;  ///< Or the number of a HELLO that is turned down.
  std::string_view reason;
};

/// What kind of body a data frame carries.
enum class BodyKind : std::uint8_t {
  // Between a node and a broker.
  registration = 1,
  directory = 2,
  slot_settlement = 3,
  query = 4,
  snapshot = 5,
  watch = 6,
  // Between a source or a worker and a coordinator.
  attach = 16,
  window = 17,
  messages = 18,
  outcomes = 19,
  deliveries = 20,
  results = 21,
};

/// The fixed-size head of a data frame.
struct DataHeader {
  std::uint64_t session = 0;
  std::uint64_t sequence = 0;  ///< From 1, per direction.
  std::uint64_t ack = 0;
  BodyKind kind{};
};

// --- Bodies: registry --------------------------------------------------------------------------

/// A node tells a broker about itself; again whenever any of it changes.
struct Registration {
  std::string_view endpoint;          ///< Where its ROUTER is to be reached; empty if it has none.
  std::string_view topology_version;  ///< Of the definition it brings or follows.
  std::string_view topology_text;     ///< Coordinators only: the definition, as TOML.
  std::vector<std::string_view> tasks;  ///< Workers only: the tasks served.
  std::string_view state;               ///< "running", "draining", "stalled: ...", for people.
  /// The broker is to number its worker list no lower than this, so that a broker that forgot
  /// everything does not go back behind what nodes know. 0: this node knows of no list yet.
  std::uint64_t slots_revision = 0;
  /// For how long the node has had this definition: the newest one wins at every broker, in
  /// whatever order nodes come back to it.
  std::uint64_t age_ms = 0;
};

/// What an operator wants to be shown of a topology's messages. It holds as long as the session in
/// which he says so; the broker tells the nodes by their directory.
struct Watch {
  enum class Kind : std::uint8_t {
    trace = 0,  ///< Sources choose messages, and every node says what becomes of those.
    tap = 1,    ///< Workers show messages at one task.
  };
  enum Side : std::uint8_t { input = 1, output = 2, both = 3 };

  std::uint32_t id = 0;  ///< Drawn at random by the operator; not 0.
  Kind kind = Kind::trace;
  std::string topology;
  std::string task;               ///< Of a tap.
  Side side = input;              ///< Of a tap.
  std::uint32_t every = 1;        ///< One of so many messages ...
  std::uint32_t per_second = 10;  ///< ... and at most so many a second, at each node.
  std::uint32_t max_bytes = 256;  ///< Of a payload, and of a key.
  std::string text;               ///< Only messages that hold this in payload or key; empty: all.
  std::string message;  ///< Of a trace: only the one that its source calls so; empty: all.

  bool operator==(const Watch&) const = default;
};

/// What a node needs to know of the others. Sent whole whenever it changes.
struct Directory {
  std::uint64_t revision = 0;  ///< Grows; of this broker's incarnation.
  std::string_view topology;
  /// The definition of the newest coordinator; empty while none has registered.
  std::string_view topology_version;
  std::string_view topology_text;

  struct Coordinator {
    std::string_view name;
    Incarnation incarnation;
    std::string_view endpoint;
    std::string_view topology_version;
  };
  std::vector<Coordinator> coordinators;

  struct Worker {
    std::string_view name;
    Incarnation incarnation;
    std::vector<std::string_view> tasks;
    /// At so many coordinators it is missing. Of a task's workers only those with the fewest own
    /// key slots.
    std::uint64_t absences = 0;
  };
  /// Live workers, by name: of these every coordinator makes the same table of key slots.
  std::vector<Worker> workers;
  /// The revision of the worker list: raised when it changes. 0: this broker does not know them all
  /// yet (it was restarted, and they are still coming back); what was known before stays.
  std::uint64_t slots_revision = 0;
  /// Every coordinator has let go of the slots that moved, up to this slots_revision, but for those
  /// in `held`.
  std::uint64_t slots_settled = 0;
  /// What operators want to be shown now.
  std::vector<Watch> watches;

  /// Slots of a task that a coordinator still has in flight at workers that do not own them.
  struct Held {
    std::string_view coordinator;
    std::string_view task;
    std::string_view slots;  ///< kKeySlots bits, those of slot 0 to 7 in the first byte.
  };
  std::vector<Held> held;
};

/// A coordinator to the broker, whenever any of it changes: by which table of key slots it works,
/// and which workers are attached to it.
struct SlotSettlement {
  /// It hands out by the table of this revision, and nothing that moved up to it is in flight here,
  /// but for what is in `held`.
  std::uint64_t slots_revision = 0;
  struct Held {
    std::string_view task;
    std::string_view slots;  ///< As in Directory::Held.
  };
  std::vector<Held> held;
  /// Workers that are attached. A broker that one of them does not reach knows of it by this.
  std::vector<Directory::Worker> attached;
  struct Missing {
    std::string_view name;
    Incarnation incarnation;
  };
  /// Workers that the directory lists and that have not attached here for long.
  std::vector<Missing> missing;
};

/// An operator's question: "nodes" is all there is so far.
struct Query {
  std::uint64_t id = 0;
  std::string_view what;
  std::string_view topology;  ///< Empty: all.
};

/// The answer to Query{"nodes"}.
struct Snapshot {
  std::uint64_t id = 0;
  struct Node {
    Role role{};
    std::string_view name;
    Incarnation incarnation;
    std::string_view topology;
    std::string_view topology_version;
    std::string_view endpoint;
    std::vector<std::string_view> tasks;
    std::string_view state;
    std::uint64_t age_ms = 0;  ///< Since it registered.
  };
  std::vector<Node> nodes;
};

// --- Bodies: data ------------------------------------------------------------------------------

/// The first body from a source or a worker on each new session with a coordinator.
struct Attach {
  std::string_view topology_version;
  std::vector<TaskId> tasks;          ///< A worker's. Empty for a source.
  std::uint64_t window_messages = 0;  ///< A worker's: see Window.
  std::uint64_t window_bytes = 0;
  std::uint64_t window_batch = 1;
};

/// Credit. The receiver of messages (a coordinator to a source) or of deliveries (a worker to a
/// coordinator) states how many may be out at once; each outcome or result gives its own back.
/// Lowering it takes nothing back. Zero: send nothing (draining).
struct Window {
  std::uint64_t messages = 0;
  std::uint64_t bytes = 0;
  /// A worker's: another is not woken before this one has so many.
  std::uint64_t batch = 1;
};

/// A source to a coordinator.
struct Messages {
  struct Item {
    MessageId id;
    std::string_view key;
    std::string_view payload;
  };
  std::vector<Item> items;

  /// A message that is traced, and as what: see Sighting::message.
  struct Traced {
    std::uint32_t item = 0;  ///< Its place in `items`.
    std::uint64_t message = 0;
  };
  std::vector<Traced> traced;  ///< In the order of `items`.
  /// How long ago each of `items` was read, where the topology has a max_age; else empty.
  std::vector<std::uint64_t> ages_ms = {};
};

/// Why a message or a delivery failed. Each says who raises it; nobody raises anything else.
enum class FailureKind : std::uint8_t {
  error = 0,    ///< The task returned an error or threw. (Coordinator.)
  timeout = 1,  ///< The message was worked on for longer than its timeout. (Coordinator.)
  task_timeout =
      2,  ///< A call took longer than its task's timeout. (Coordinator, told by a worker.)
  worker_lost = 3,  ///< Its worker died while it was being handled, too often. (Coordinator.)
  // 4 and 5 were kinds that nobody raised.
  /// It has become older than the topology's max_age. (Coordinator; source, of what it has not
  /// sent.)
  expired = 6,
  /// More than a frame holds: a message at its source, or a join at its coordinator.
  too_large = 7,
  /// The source gave it out max_attempts times, and it was never done. (Source.)
  never_done = 8,
  /// More than kMaxTreeDeliveries deliveries came of it. (Coordinator.)
  too_many = 9,
};

inline constexpr std::array kFailureKinds = {FailureKind::error,        FailureKind::timeout,
                                             FailureKind::task_timeout, FailureKind::worker_lost,
                                             FailureKind::expired,      FailureKind::too_large,
                                             FailureKind::never_done,   FailureKind::too_many};

const char* to_string(FailureKind kind);

/// A coordinator to a source: what became of its messages.
struct Outcomes {
  std::vector<MessageId> acked;
  struct Failed {
    MessageId id;
    FailureKind kind{};
    /// The failing delivery: its task's name, attempts, worker, what it said and was given.
    std::string_view task;
    std::uint32_t attempts = 0;
    std::string_view worker;
    std::string_view reason;
    std::string_view payload;
    /// Of the whole tree, how often its deliveries were tried again.
    std::uint32_t retries = 0;
  };
  std::vector<Failed> failed;
  /// The coordinator will not take them now (other version, draining): send them elsewhere or
  /// later. Not an attempt.
  std::vector<MessageId> returned;
};

/// A coordinator to a worker.
struct Deliveries {
  /// One message of a delivery.
  struct Part {
    EdgeId edge = kNoEdge;  ///< By which it came; kNoEdge: from the source.
    std::string_view key;
    std::string_view payload;
  };
  struct Item {
    DeliveryId id;
    TaskId task{};
    std::uint32_t attempt = 1;
    /// Where its parts stand in `parts`: one, or with gather = "all" any number.
    std::uint32_t first_part = 0;
    std::uint32_t part_count = 1;
    /// Workers have died that had it: to be run with nothing beside it, after the worker has said
    /// that it starts (Results::Status::started) and that has been confirmed.
    bool alone = false;
    /// Of a message that is traced: the worker says how long it took (Results::Item::handled_us).
    bool traced = false;
    /// An earlier attempt of it exceeded its time: to be run in a call of its own, so that it holds
    /// up nothing else.
    bool single = false;
  };
  std::vector<Item> items;
  std::vector<Part> parts;
};

/// A worker to a coordinator: what became of its deliveries, in the order of their ends.
struct Results {
  enum class Status : std::uint8_t {
    done = 0,
    retry = 1,     ///< Failed; another attempt may help.
    fail = 2,      ///< Failed for good.
    returned = 3,  ///< Never started (draining): not an attempt.
    started = 4,   ///< No end: one given out as `alone` is about to be run.
    extended = 5,  ///< No end: the task wants so much time from now, in `retry_after_ms`.
    /// What the task needs (a sink's server, a disk) is away: to be tried again after
    /// `retry_after_ms`, and no attempt.
    unavailable = 6,
    timed_out = 7,       ///< The call took longer than the task's timeout: a failed attempt.
    tree_timed_out = 8,  ///< The call alone took longer than the message's timeout.
  };
  struct Output {
    /// The output's name, empty for the plain edges.
    std::string_view output;
    std::string_view key;
    std::string_view payload;
    /// The one edge that it takes, whatever its name. kNoEdge: those that take its name. What a
    /// worker emits for tasks that it has fused (see Fused) comes by edges.
    EdgeId edge = kNoEdge;
    /// With an edge: the task it leads to has been given it in the same call, and has failed.
    /// Where in `failures` it stands why.
    std::uint32_t failure = kNotFailed;
  };
  static constexpr std::uint32_t kNotFailed = 0xffffffff;
  struct Failure {
    Status status = Status::retry;  ///< retry, fail or unavailable.
    std::string_view reason;
    std::uint64_t retry_after_ms = 0;
  };
  struct Item {
    DeliveryId id;
    Status status = Status::done;
    std::string_view reason;
    std::uint64_t retry_after_ms = 0;
    /// Where its outputs stand in `outputs`.
    std::uint32_t first_output = 0;
    std::uint32_t output_count = 0;
    /// How long the task worked on it, where that is a millisecond or more, or the delivery is
    /// traced; 0: not said.
    std::uint32_t handled_us = 0;
  };
  std::vector<Item> items;
  std::vector<Output> outputs;
  std::vector<Failure> failures;

  /// Only to count: what tasks have done that were fused, which is run by the worker on what the
  /// task before had emitted, without a delivery of their own.
  struct Fused {
    TaskId task{};
    std::uint64_t acknowledged = 0;
    std::uint64_t outputs = 0;
    std::uint64_t outputs_dropped = 0;
  };
  std::vector<Fused> fused;

  void clear() {
    items.clear();
    outputs.clear();
    failures.clear();
    fused.clear();
  }
};

// --- On the stats bus: never on a link, each a PUB frame of its own ------------------------------

/// Something that a node saw of a watched message.
struct Sighting {
  enum class Kind : std::uint8_t {
    // At its source.
    read = 0,
    sent = 1,         ///< To the coordinator `peer`.
    taken_back = 2,   ///< The coordinator is lost, or gave it back: it will be sent again.
    failed = 3,       ///< `next` says what follows.
    dead_letter = 4,  ///< Its dead letter is written.
    left = 5,         ///< The end: not acked.
    acked = 6,        ///< The end: its source has confirmed the ack.
    // At a coordinator.
    handed_out = 7,  ///< An attempt of `task`, to the worker `peer`. One of those below is its end.
    done = 8,        ///< With `count` outputs.
    error = 9,
    task_timeout = 10,
    worker_lost = 11,  ///< Its worker died of it.
    returned = 12,     ///< Not begun, or of a lost worker: no attempt.
    tree_done = 13,
    tree_failed = 14,  ///< By `failure`, at `task`.
    // At a worker: messages at a tapped task.
    input = 15,
    output = 16,
  };
  /// What follows of a failure.
  enum class Next : std::uint8_t { none = 0, again, give_up, go_on, dead_letter, ack, leave };

  /// Which message: its watch's id in the high half, and a number in the low one.
  std::uint64_t message = 0;
  Kind kind = Kind::read;
  Next next = Next::none;
  FailureKind failure{};
  std::string task;
  std::string peer;            ///< The worker or coordinator.
  std::uint64_t delivery = 0;  ///< Which attempt, at the coordinator that says so.
  std::uint32_t attempt = 0;
  std::uint64_t count = 0;       ///< Outputs, or messages in one delivery.
  std::uint64_t at_us = 0;       ///< Since the node had the message.
  std::uint64_t waited_us = 0;   ///< Until it was handed out, or sent.
  std::uint64_t out_us = 0;      ///< From then until the answer.
  std::uint64_t handled_us = 0;  ///< Of that, in the task, as its worker says; 0: not said.
  std::uint64_t again_us = 0;    ///< Until the next attempt.
  std::string text;              ///< The reason; of `read` what the source calls the message.
  std::string key;
  std::string payload;              ///< The first of it.
  std::uint64_t payload_bytes = 0;  ///< All of it.
};

/// What a node saw for one watch since it last said so.
struct Sightings {
  std::string node;
  Role role{};
  std::string topology;
  Incarnation incarnation;
  std::uint64_t sequence = 0;  ///< From 1, for each watch: a gap is a frame that was lost.
  std::uint64_t seen = 0;      ///< Of a tap, or of a source: messages it chose from, so far.
  std::uint64_t left_out = 0;  ///< What there was no room to say, so far.
  std::vector<Sighting> sightings;
};

/// A node's own numbers since its start, once a second. Not on a link: a PUB frame of its own.
struct StatsReport {
  std::string node;
  Role role{};
  std::string topology;
  Incarnation incarnation;
  std::uint64_t uptime_ms = 0;

  struct Label {
    std::string name;
    std::string value;
  };
  /// A counter (never goes down in one incarnation) or a gauge.
  struct Number {
    std::string name;
    std::vector<Label> labels;
    double value = 0;
    bool is_counter = true;
  };
  struct Distribution {
    std::string name;
    std::vector<Label> labels;
    Histogram histogram;
  };
  std::vector<Number> numbers;
  std::vector<Distribution> distributions;
};

}  // namespace tempest::wire
