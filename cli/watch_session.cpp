#include "cli/watch_session.hpp"

#include <algorithm>
#include <iostream>
#include <limits>
#include <set>
#include <utility>

#include "cli/broker_query.hpp"
#include "cli/progress.hpp"
#include "tempest/base/limits.hpp"
#include "tempest/base/safe_text.hpp"
#include "tempest/base/spelling.hpp"
#include "tempest/runtime/clock.hpp"
#include "tempest/runtime/exit_code.hpp"
#include "tempest/runtime/node_program.hpp"
#include "tempest/watch/sighting_log.hpp"
#include "tempest/wire/codec.hpp"

namespace tempest::cli {
namespace {

constexpr Duration kPatience = std::chrono::seconds(3);
constexpr std::int64_t kMaxPerSecond = 10'000;
constexpr std::int64_t kMaxShownBytes = 65'536;

std::string joined(const std::set<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

/// "there is no WHAT 'name'; did you mean 'other'? (known: ...)"
std::string no_such(const std::string& what, const std::string& name,
                    const std::set<std::string>& names) {
  const std::vector<std::string> known(names.begin(), names.end());
  const auto nearest = nearest_name(name, known);
  return what + " '" + name + "'" + (nearest ? "; did you mean '" + *nearest + "'?" : "") +
         " (known: " + joined(names) + ")";
}

}  // namespace

WatchSession::WatchSession(const std::vector<std::string>& brokers, const wire::Watch& watch)
    : self_(operator_identity()),
      loop_(transport_, operator_loop_options(self_)),
      node_(self_, {.brokers = brokers,
                    .says = wire::BodyKind::watch,
                    .frame = wire::data_frame(watch),
                    .heard = [this] { heard_.set_value(); },
                    .seed = runtime::random_seed()}) {}

Result<std::unique_ptr<WatchSession>> WatchSession::open(const std::vector<std::string>& brokers,
                                                         wire::Watch watch) {
  do {
    watch.id = static_cast<std::uint32_t>(runtime::random_seed());
  } while (watch.id == 0);
  std::unique_ptr<WatchSession> session(new WatchSession(brokers, watch));
  // First of all, so that nothing is missed of what nodes will say.
  auto feed = runtime::BusFeed::open(session->transport_, brokers, watch::topic_of(watch.id));
  if (!feed) return feed.error();
  session->feed_ = std::move(*feed);
  std::future<void> heard = session->heard_.get_future();
  session->thread_ = std::thread([&session = *session] { session.loop_.run(session.node_); });
  if (heard.wait_for(kPatience) != std::future_status::ready) {
    return Error{ErrorCode::unavailable, "no broker answers any more"};
  }
  return session;
}

WatchSession::~WatchSession() {
  if (!thread_.joinable()) return;
  loop_.request_stop(true);
  thread_.join();
}

std::optional<wire::Sightings> WatchSession::next(Duration patience) {
  const TimePoint deadline = runtime::monotonic_now() + patience;
  while (true) {
    const Duration left = std::max(deadline - runtime::monotonic_now(), Duration::zero());
    const std::optional<std::string> body = feed_->next(left);
    if (!body) return std::nullopt;
    wire::Sightings sightings;
    if (wire::decode(*body, sightings) && count(sightings)) return sightings;
  }
}

bool WatchSession::count(const wire::Sightings& sightings) {
  NodeCounts& counts = counts_[sightings.incarnation];
  if (sightings.sequence <= counts.last_sequence) return false;
  if (counts.frames == 0) counts.first_sequence = sightings.sequence;
  counts.last_sequence = sightings.sequence;
  ++counts.frames;
  counts.seen = sightings.seen;
  counts.left_out = sightings.left_out;
  return true;
}

WatchSession::Totals WatchSession::totals() const {
  Totals totals;
  for (const auto& [node, counts] : counts_) {
    totals.seen += counts.seen;
    totals.left_out += counts.left_out;
    totals.frames_lost += counts.last_sequence + 1 - counts.first_sequence - counts.frames;
  }
  return totals;
}

void add_watch_options(runtime::CommandLine& line, const char* limit_help, const char* limit) {
  line.list("broker", "URL", "A broker's address", "tcp://127.0.0.1:5550")
      .option("topology", "NAME", "Which topology; needed only if there are several")
      .option("limit", "N", limit_help, limit)
      .option("for", "DURATION", "End after this time; without it only the limit and Ctrl-C do")
      .option("every", "N", "Choose one of so many messages", "1")
      .option("rate", "N", "At most so many messages a second, at each node", "10")
      .option("text", "TEXT", "Only messages with this in their payload or key")
      .option("bytes", "N", "Show so much of a payload", "256")
      .flag("json", "One JSON object a line");
}

WatchOptions read_watch_options(runtime::CommandLine& line) {
  constexpr std::int64_t kMost = std::numeric_limits<std::uint32_t>::max();
  WatchOptions options;
  options.brokers = line.texts("broker");
  options.json = line.has_flag("json");
  options.limit = static_cast<std::uint64_t>(line.integer("limit", 0, kMost));
  if (!line.text("for").empty()) options.longest = line.duration("for");
  wire::Watch& watch = options.watch;
  watch.topology = line.text("topology");
  watch.every = static_cast<std::uint32_t>(line.integer("every", 1, kMost));
  watch.per_second = static_cast<std::uint32_t>(line.integer("rate", 1, kMaxPerSecond));
  watch.max_bytes = static_cast<std::uint32_t>(line.integer("bytes", 0, kMaxShownBytes));
  watch.text = line.text("text");
  if (watch.text.size() > kMaxReasonBytes) {
    line.fail("--text takes up to " + std::to_string(kMaxReasonBytes) + " bytes");
  }
  if (!line.failed()) {
    if (auto checked = check_brokers(options.brokers); !checked) line.fail(checked.error().message);
  }
  return options;
}

std::optional<int> find_watched(WatchOptions& options, const std::string& program) {
  const auto nodes = ask_for_nodes(options.brokers, kPatience);
  if (!nodes) {
    std::cerr << program << ": " << safe_text(nodes.error().message) << "\n";
    return runtime::kExitUnavailable;
  }
  std::set<std::string> topologies;
  std::set<std::string> tasks;
  for (const ListedNode& node : *nodes) {
    if (!node.topology.empty()) topologies.insert(node.topology);
  }
  std::string& topology = options.watch.topology;
  if (topologies.empty()) {
    std::cerr << program << ": no topology is running there\n";
    return runtime::kExitUnavailable;
  }
  if (topology.empty() && topologies.size() > 1) {
    std::cerr << program
              << ": which topology? --topology takes one of: " << safe_text(joined(topologies))
              << "\n";
    return runtime::kExitUsage;
  }
  if (topology.empty()) topology = *topologies.begin();
  if (!topologies.contains(topology)) {
    std::cerr << program << ": " << safe_text(no_such("there is no topology", topology, topologies))
              << "\n";
    return runtime::kExitUsage;
  }
  for (const ListedNode& node : *nodes) {
    if (node.topology == topology) tasks.insert(node.tasks.begin(), node.tasks.end());
  }
  const std::string& task = options.watch.task;
  if (!task.empty() && tasks.empty()) {
    std::cerr << program << ": no worker of '" << topology << "' is there\n";
    return runtime::kExitUnavailable;
  }
  if (!task.empty() && !tasks.contains(task)) {
    std::cerr << program << ": " << safe_text(no_such("no worker serves a task", task, tasks))
              << "\n";
    return runtime::kExitUsage;
  }
  return std::nullopt;
}

void report_totals(const WatchSession& session, const std::string& program,
                   const std::string& shown) {
  const WatchSession::Totals totals = session.totals();
  std::cerr << program << ": " << shown << ", chosen from " << grouped(totals.seen);
  if (totals.left_out > 0) {
    std::cerr << "; " << grouped(totals.left_out) << " left out by nodes that had too much to say";
  }
  if (totals.frames_lost > 0) {
    std::cerr << "; " << grouped(totals.frames_lost) << " reports lost on the way";
  }
  std::cerr << "\n";
}

}  // namespace tempest::cli
