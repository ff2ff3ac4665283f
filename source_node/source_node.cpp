#include "source_node/source_node.hpp"

#include <mutex>
#include <utility>

#include "source_node/part_maker.hpp"
#include "source_node/recording_source.hpp"
#include "tempest/runtime/exit_code.hpp"
#include "tempest/runtime/node_program.hpp"
#include "tempest/runtime/topology_file.hpp"

namespace tempest::source_node {

namespace {

int exit_code_of(const Error& error) {
  switch (error.code) {
    case ErrorCode::invalid_argument:
    case ErrorCode::configuration:
      return runtime::kExitConfiguration;
    case ErrorCode::internal:
      return runtime::kExitInternal;
    default:
      return runtime::kExitInputOutput;
  }
}

Result<std::unique_ptr<Source>> record(std::unique_ptr<Source> source, const std::string& path,
                                       double rate) {
  auto file = FlowRecordFile::create(path);
  if (!file) return file.error();
  return std::unique_ptr<Source>(
      std::make_unique<RecordingSource>(std::move(source), std::move(*file), rate));
}

/// A request to the thread that owns the source.
class SourceCall final : public runtime::Call {
 public:
  SourceCall(SourceIo& io, Request request) : io_(io), request_(std::move(request)) {}

  bool is_brief() const override {
    const auto expected = io_.expected_time(request_);
    return expected && *expected <= kBrief;
  }
  bool is_thread_free() const override { return io_.is_free(); }
  void make() override { io_.serve_here(std::move(request_)); }
  void send(std::function<void()> then) override {
    io_.submit(std::move(request_), std::move(then));
  }

 private:
  SourceIo& io_;
  Request request_;
};

std::unique_ptr<runtime::NameClaim> claim_consumer(const SourceNodeOptions& options) {
  if (!options.consumer.empty()) return nullptr;
  return std::make_unique<runtime::NameClaim>("consumer of " + options.machine.self.topology,
                                              runtime::host_name());
}

RequestServer::Makers makers_of(const SourceNodeOptions& options, const std::string& consumer) {
  const auto maker = std::make_shared<PartMaker>(consumer, options.libraries);
  RequestServer::Makers makers;
  makers.source = [maker, path = options.record,
                   own = options.make_source](const Plan& plan) -> Result<std::unique_ptr<Source>> {
    if (own) return own();
    auto source = maker->make_source(plan);
    if (!source || path.empty()) return source;
    return record(std::move(*source), path, plan.source.endpoint.settings.number("rate"));
  };
  makers.dead_letter_sink = [maker](const Plan& plan) {
    return maker->make_dead_letter_sink(plan);
  };
  makers.failure_handler = [maker](const Plan& plan) { return maker->make_failure_handler(plan); };
  return makers;
}

}  // namespace

Result<Plan> read_plan(const std::string& topology_text) {
  std::vector<runtime::Diagnostic> diagnostics;
  auto topology = runtime::parse_topology(topology_text, "Topology.toml", diagnostics);
  if (!topology) return Error{ErrorCode::configuration, runtime::joined(diagnostics), {}};
  return Plan{std::move(topology->name), std::move(topology->version),
              std::move(topology->libraries), std::move(topology->source),
              std::move(topology->failure)};
}

struct SourceNode::Published {
  mutable std::mutex mutex;
  SourceSummary summary;
};

SourceNode::SourceNode(const SourceNodeOptions& options, runtime::NodeLoop& loop)
    : identity_(options.machine.self),
      machine_(options.machine, read_plan),
      published_(std::make_unique<Published>()),
      claimed_(claim_consumer(options)),
      io_(makers_of(options, claimed_ ? claimed_->name() : options.consumer),
          [&loop] { loop.wake(); }) {}

SourceNode::~SourceNode() = default;

void SourceNode::start(TimePoint now, link::Effects& effects) {
  started_at_ = now;
  machine_.start(now, effects);
}

void SourceNode::receive(const link::FrameReceived& received, TimePoint now,
                         link::Effects& effects) {
  machine_.receive(received, now, effects);
}

void SourceNode::woken(TimePoint now, link::Effects& effects) {
  io_.collect(responses_);
  for (Response& response : responses_) machine_.take(std::move(response), now, effects);
  responses_.clear();
}

void SourceNode::turn(TimePoint now, link::Effects& effects) {
  machine_.ask_ahead(now, requests_);
  io_.submit(requests_);
  machine_.turn(now, effects, requests_);
  for (Request& request : requests_) calls_.push_back(std::move(request));
  requests_.clear();
  settle_end(effects);
  publish();
}

std::unique_ptr<runtime::Call> SourceNode::take_call() {
  if (calls_.empty()) return nullptr;
  auto call = std::make_unique<SourceCall>(io_, std::move(calls_.front()));
  calls_.pop_front();
  return call;
}

bool SourceNode::is_call_thread_wanted() const {
  return io_.is_wanted();
}

TimePoint SourceNode::next_turn() const {
  return machine_.next_turn();
}

void SourceNode::stop(bool at_once, TimePoint now, link::Effects& effects) {
  machine_.stop(at_once, now, effects);
}

void SourceNode::settle_end(link::Effects& effects) {
  if (effects.finished && machine_.failure()) effects.exit_code = exit_code_of(*machine_.failure());
}

void SourceNode::publish() {
  SourceSummary summary;
  summary.numbers = machine_.numbers();
  summary.queued = machine_.queued();
  summary.coordinators_up = machine_.coordinators_up();
  summary.state = machine_.state();
  summary.finished = summary.state == "finished";
  if (machine_.failure()) summary.failure = machine_.failure()->message;
  const std::lock_guard lock(published_->mutex);
  published_->summary = std::move(summary);
}

SourceSummary SourceNode::summary() const {
  const std::lock_guard lock(published_->mutex);
  return published_->summary;
}

void SourceNode::report(TimePoint now, wire::StatsReport& report) const {
  link::identify(identity_, started_at_, now, report);
  wire::StatsBuilder stats(report);
  const SourceNumbers numbers = machine_.numbers();
  stats.counter("tempest_messages_read_total", numbers.read);
  stats.counter("tempest_messages_acked_total", numbers.acked);
  stats.counter("tempest_messages_failed_total", numbers.failed);
  stats.counter("tempest_messages_left_total", numbers.left);
  stats.counter("tempest_messages_dead_lettered_total", numbers.dead_lettered);
  stats.counter("tempest_messages_resent_total", numbers.resent);
  stats.counter("tempest_messages_lost_at_source_total", numbers.lost_at_source);
  stats.counter("tempest_messages_given_again_total", numbers.given_again);
  stats.counter("tempest_messages_claimed_total", numbers.claimed);
  stats.counter("tempest_messages_discarded_at_source_total", numbers.discarded);
  stats.counter("tempest_messages_moved_at_source_total", numbers.moved);
  stats.counter("tempest_outcomes_stale_total", numbers.stale_outcomes);
  stats.counter("tempest_malformed_bodies_total", machine_.malformed());
  link::report(machine_.link_counters(), machine_.link_backlog(), stats);
  stats.gauge("tempest_messages_pending", numbers.pending);
  stats.gauge("tempest_messages_queued", machine_.queued());
  stats.gauge("tempest_stalled", machine_.state().starts_with("stalled") ? 1.0 : 0.0);
  stats.gauge("tempest_pending_bytes", numbers.pending_bytes);
  stats.gauge("tempest_dead_letters_waiting", numbers.letters_waiting);
  stats.gauge("tempest_failure_bytes", numbers.failure_bytes);
  stats.gauge("tempest_oldest_message_age_seconds",
              std::chrono::duration<double>(machine_.oldest_age(now)).count());
  stats.distribution("tempest_message_latency_seconds", machine_.latency());
}

}  // namespace tempest::source_node
