#include "cli/standalone.hpp"

#include <algorithm>
#include <exception>
#include <utility>

#include "pipeline_node/pipeline_node.hpp"
#include "task_node/task_node.hpp"
#include "tempest/base/exception_text.hpp"
#include "tempest/runtime/clock.hpp"
#include "tempest/runtime/exact_waits.hpp"
#include "tempest/runtime/exit_code.hpp"
#include "tempest/runtime/exit_guard.hpp"
#include "tempest/runtime/logging.hpp"
#include "tempest/runtime/node_program.hpp"

namespace tempest::cli {

namespace {

constexpr const char* kBrokerWithin = "inproc://broker";
constexpr const char* kCoordinatorEndpoint = "inproc://pipeline";

constexpr Duration kShortestPatience = std::chrono::milliseconds(500);

/// Threads of one process do not die one by one, so nobody needs to be given up quickly, and a
/// process that was stopped for a while finds its links as they were.
link::Settings link_within_process() {
  link::Settings settings;
  settings.lease = std::chrono::seconds(60);
  settings.heartbeat_interval = std::chrono::seconds(10);
  settings.hello_interval = std::chrono::milliseconds(20);
  return settings;
}

}  // namespace

Standalone::Standalone(Topology topology, StandaloneOptions options)
    : topology_(std::move(topology)), options_(std::move(options)), link_(link_within_process()) {}

Standalone::~Standalone() {
  // A thread of a task still uses what would be destroyed here.
  if (hangs_) runtime::end_process(exit_code_);
  if (parts_.empty()) return;
  request_stop(true);
  while (!wait(std::chrono::seconds(1))) {
  }
  if (hangs_) runtime::end_process(exit_code_);
}

Result<void> Standalone::start() {
  // For all threads that are started from here on.
  runtime::wait_exactly_in_this_thread();
  runtime::NodeOptions broker_options;
  broker_options.name = "broker";
  broker_options.link = link_;
  auto broker = broker::Broker::open(transport_, broker_options,
                                     options_.bind.empty() ? kBrokerWithin : options_.bind);
  if (!broker) return broker.error();
  broker_ = std::move(*broker);
  broker_endpoint_ = options_.bind.empty() ? kBrokerWithin : broker_->loop().bound_endpoint();
  if (auto added = add_coordinator(); !added) return added;
  for (std::size_t i = 1; i <= options_.workers; ++i) add_worker(i);
  add_source();

  broker_thread_ = std::thread([this] { broker_->run(); });
  // The coordinator and the source send each other what takes less time than to wake a thread. A
  // worker has a thread that drives its loop already.
  std::vector<Part*> together;
  for (const auto& part : parts_) {
    if (part.get() == coordinator_part_ || part.get() == source_part_) {
      together.push_back(part.get());
    } else {
      threads_.emplace_back([this, worker = part.get()] { run_parts({worker}); });
    }
  }
  threads_.emplace_back([this, together] { run_parts(together); });
  return {};
}

runtime::NodeLoop& Standalone::add_loop(Part& part, const link::Identity& self,
                                        const std::string& bind) {
  runtime::NodeOptions options;
  options.name = self.name;
  options.brokers = {broker_endpoint_};
  part.loop =
      std::make_unique<runtime::NodeLoop>(transport_, runtime::loop_options(options, self, bind));
  return *part.loop;
}

Result<void> Standalone::add_coordinator() {
  auto part = std::make_unique<Part>();
  const auto self = runtime::make_identity(Role::pipeline, "pipeline", topology_.name);
  if (auto bound = add_loop(*part, self, kCoordinatorEndpoint).bind(); !bound) return bound;
  pipeline_node::PipelineSettings settings;
  settings.brokers = {broker_endpoint_};
  settings.endpoint = kCoordinatorEndpoint;
  settings.link = link_;
  settings.drain_timeout = options_.drain_timeout;
  settings.min_workers = options_.workers;
  part->node = std::make_unique<pipeline_node::PipelineNode>(self, std::move(settings), topology_,
                                                             runtime::random_seed());
  coordinator_part_ = part.get();
  parts_.push_back(std::move(part));
  return {};
}

void Standalone::add_worker(std::size_t number) {
  auto part = std::make_unique<Part>();
  const auto self =
      runtime::make_identity(Role::task, "task-" + std::to_string(number), topology_.name);
  runtime::NodeLoop& loop = add_loop(*part, self, {});
  task_node::TaskNodeOptions options;
  options.brokers = {broker_endpoint_};
  options.link = link_;
  options.threads = options_.threads;
  options.drain_timeout = options_.drain_timeout;
  options.plan.fusing = task_node::Fusing::when_quick;
  options.plan.libraries = options_.libraries;
  part->node = std::make_unique<task_node::TaskNode>(
      self, std::move(options), runtime::TaskLibraries{}, [&loop] { loop.wake(); });
  parts_.push_back(std::move(part));
}

void Standalone::add_source() {
  auto part = std::make_unique<Part>();
  const auto self = runtime::make_identity(Role::source, "source", topology_.name);
  runtime::NodeLoop& loop = add_loop(*part, self, {});
  source_node::SourceNodeOptions options;
  options.machine.self = self;
  options.machine.brokers = {broker_endpoint_};
  options.machine.link = link_;
  options.machine.drain_timeout = options_.drain_timeout;
  options.machine.exit_when_drained = options_.exit_when_drained;
  options.machine.exit_when_ended = true;
  options.libraries = options_.libraries;
  options.machine.seed = runtime::random_seed();
  options.consumer = options_.consumer;
  options.record = options_.record;
  options.make_source = options_.make_source;
  auto node = std::make_unique<source_node::SourceNode>(options, loop);
  source_ = node.get();
  part->node = std::move(node);
  source_part_ = part.get();
  parts_.push_back(std::move(part));
}

void Standalone::run_parts(const std::vector<Part*>& parts) {
  std::vector<std::pair<runtime::NodeLoop*, runtime::Node*>> loops;
  for (const Part* part : parts) loops.emplace_back(part->loop.get(), part->node.get());
  const auto ended = [&](std::size_t index, int exit_code) {
    part_ended(*parts[index], exit_code);
  };
  try {
    runtime::NodeLoop::run_together(loops, ended);
  } catch (const std::exception& error) {
    runtime::Log("tempest").error(std::string("a node has ended: ") + text_of(error));
    for (Part* part : parts) {
      if (!part->ended) part_ended(*part, runtime::kExitInternal);
    }
  }
}

void Standalone::part_ended(Part& part, int code) {
  const bool is_source = &part == source_part_;
  const std::lock_guard lock(mutex_);
  part.ended = true;
  if (!ending_ && !is_source) {
    // Nobody asked it to: a topology that cannot be built here, say. The source goes as well.
    source_part_->loop->request_stop(true);
    if (code == 0) code = runtime::kExitInternal;
  }
  if (is_source || !ending_) {
    if (exit_code_ == 0) exit_code_ = code;
    ending_ = true;
  }
  ended_.notify_all();
}

void Standalone::request_stop(bool at_once) {
  Duration::rep none = 0;
  stopped_at_.compare_exchange_strong(none, runtime::monotonic_now().time_since_epoch().count());
  if (source_part_ != nullptr) source_part_->loop->request_stop(at_once);
}

bool Standalone::wait(Duration patience) {
  if (over_) return true;
  {
    std::unique_lock lock(mutex_);
    if (!ended_.wait_for(lock, patience, [this] { return source_part_->ended; })) return false;
  }
  end_all();
  over_ = true;
  return true;
}

std::map<std::string, std::uint64_t> Standalone::handled() const {
  std::map<std::string, std::uint64_t> counts;
  wire::StatsReport report;
  for (const auto& part : parts_) part->node->report(runtime::monotonic_now(), report);
  for (const auto& number : report.numbers) {
    if (number.name != "tempest_task_handled_total") continue;
    std::string task;
    bool is_done = false;
    for (const auto& label : number.labels) {
      if (label.name == "task") task = label.value;
      if (label.name == "outcome") is_done = label.value == "done";
    }
    if (is_done) counts[task] += static_cast<std::uint64_t>(number.value);
  }
  return counts;
}

std::map<std::string, std::uint64_t> Standalone::untaken() const {
  std::map<std::string, std::uint64_t> counts;
  wire::StatsReport report;
  for (const auto& part : parts_) part->node->report(runtime::monotonic_now(), report);
  for (const auto& number : report.numbers) {
    if (number.name != "tempest_task_outputs_untaken_total") continue;
    std::string task;
    std::string output;
    for (const auto& label : number.labels) (label.name == "task" ? task : output) = label.value;
    counts[task + (output.empty() ? "" : ":" + output)] += static_cast<std::uint64_t>(number.value);
  }
  return counts;
}

/// The drain timeout began with the request to stop, if there was one: what the source has waited
/// of it is not waited again. Threads that have nothing to do need a moment to end all the same.
TimePoint Standalone::patience_ends_at() const {
  const TimePoint now = runtime::monotonic_now();
  const Duration::rep stopped_at = stopped_at_;
  const TimePoint begun = stopped_at == 0 ? now : TimePoint(Duration(stopped_at));
  return std::max(begun + options_.drain_timeout, now + kShortestPatience);
}

void Standalone::end_all() {
  for (auto& part : parts_) part->loop->request_stop(true);
  for (std::thread& thread : threads_) thread.join();
  const TimePoint give_up_at = patience_ends_at();
  for (auto& part : parts_) {
    auto* worker = dynamic_cast<task_node::TaskNode*>(part->node.get());
    if (worker == nullptr) continue;
    const Duration left = std::max(give_up_at - runtime::monotonic_now(), Duration::zero());
    if (worker->stop_handlers(left)) continue;
    runtime::Log("tempest").error("a task does not come back from its call; ending without it");
    hangs_ = true;
  }
  broker_->loop().request_stop(true);
  broker_thread_.join();
}

}  // namespace tempest::cli
