#include "bench/flow.hpp"

#include <algorithm>
#include <map>
#include <thread>

#include "bench/flow_check.hpp"
#include "bench/nodes.hpp"
#include "bench/stream.hpp"
#include "tempest/runtime/clock.hpp"

namespace tempest::bench {

namespace {

using source_node::FlowRecord;
using source_node::FlowRecordFile;

constexpr Duration kLookAgain = std::chrono::milliseconds(2);
constexpr Duration kStartPatience = std::chrono::seconds(20);
constexpr Duration kDrainPatience = std::chrono::seconds(30);
constexpr Duration kCountPatience = std::chrono::minutes(10);
// For the nodes to find each other, so that their memory is what they need without messages.
constexpr Duration kSettle = std::chrono::milliseconds(300);

/// Everything that is known at one moment.
struct Sample {
  TimePoint at{};
  std::uint64_t read = 0;
  std::uint64_t acked = 0;
  std::map<std::string, Usage> usage;
  std::vector<std::uint64_t> latencies;
};

Sample sample(Nodes& nodes, const FlowRecord& record) {
  Sample taken;
  taken.at = runtime::monotonic_now();
  taken.acked = record.acked.load(std::memory_order_acquire);
  taken.read = record.read.load(std::memory_order_acquire);
  for (const Child& child : nodes.children()) taken.usage[child.name()] = child.usage();
  taken.latencies.reserve(record.latencies.size());
  for (const auto& count : record.latencies) taken.latencies.push_back(count);
  return taken;
}

/// One run, step by step.
class Run {
 public:
  explicit Run(const Settings& settings) : settings_(settings) {}

  Result<Measured> measure() {
    if (settings_.workload == "redis") {
      auto filled =
          fill_stream(settings_.redis, kTopologyName, settings_.count, settings_.size_bytes);
      if (!filled) return filled.error();
    }
    auto started = Nodes::start(settings_);
    if (!started) return started.error();
    nodes_ = std::move(*started);
    auto flowed = flow();
    auto counts = flowed ? nodes_->finish() : Result<NodeCounts>(flowed.error());
    if (!counts) return with_log(counts.error());
    if (auto checked = check(*counts); !checked) return with_log(checked.error());
    return evaluate(*counts);
  }

 private:
  Result<void> flow() {
    std::this_thread::sleep_for(kSettle);
    if (auto started = nodes_->start_source("source", true); !started) return started;
    if (!wait_until(kStartPatience, [this] { return is_flowing(); })) {
      return Error{ErrorCode::unavailable, "no message was acked within 20 s"};
    }
    if (settings_.count > 0) return flow_to_the_end();
    wait_until(settings_.warm_up, [] { return false; });
    first_ = sample(*nodes_, **record_);
    wait_until(settings_.time / 2, [] { return false; });
    middle_ = sample(*nodes_, **record_);
    wait_until(settings_.time / 2, [] { return false; });
    last_ = sample(*nodes_, **record_);
    (*record_)->end = true;
    return end_of_source(kDrainPatience);
  }

  /// From the first ack to the last.
  Result<void> flow_to_the_end() {
    first_ = sample(*nodes_, **record_);
    wait_until(kCountPatience, [this] { return (*record_)->acked >= settings_.count / 2; });
    middle_ = sample(*nodes_, **record_);
    wait_until(kCountPatience, [this] { return (*record_)->acked >= settings_.count; });
    last_ = sample(*nodes_, **record_);
    last_.at = TimePoint(Duration((*record_)->last_ack_ns.load()));
    return end_of_source(kDrainPatience);
  }

  bool is_flowing() {
    if (!record_) record_ = nodes_->record();
    if (!record_ || (*record_)->acked == 0) return false;
    return true;
  }

  /// False also if the source has ended before.
  template <typename Condition>
  bool wait_until(Duration patience, Condition condition) {
    const TimePoint deadline = runtime::monotonic_now() + patience;
    while (!condition()) {
      const Duration left = deadline - runtime::monotonic_now();
      if (left <= Duration::zero()) return false;
      if (nodes_->source().wait(std::min(left, kLookAgain))) return condition();
    }
    return true;
  }

  Result<void> end_of_source(Duration patience) {
    const auto code = nodes_->source().wait(patience);
    if (code == 0) return {};
    return Error{ErrorCode::fail, code ? "the source has ended with " + std::to_string(*code)
                                       : std::string("the source does not drain")};
  }

  Result<void> check(const NodeCounts& counts) const {
    const FlowRecord& record = **record_;
    auto checked = check_flow(settings_, {record.read, record.acked}, counts);
    if (!checked || settings_.workload != "redis") return checked;
    return check_stream(settings_.redis, kTopologyName, settings_.count);
  }

  Measured evaluate(const NodeCounts& counts) const {
    Measured result;
    const FlowRecord& record = **record_;
    result.read = record.read;
    result.acked = record.acked;
    const auto tasks = tasks_of(settings_);
    for (std::size_t i = 0; i < tasks.size(); ++i) {
      result.duplicates += counts.handled[i] - record.acked * tasks[i].handled_each;
    }
    const double messages = std::max(1.0, static_cast<double>(last_.acked - first_.acked));
    result.messages_per_second =
        messages / std::chrono::duration<double>(last_.at - first_.at).count();
    std::map<std::string, double> by_kind;
    double switches = 0;
    double syscalls = 0;
    for (const auto& [name, usage] : last_.usage) {
      const Usage before = first_.usage.contains(name) ? first_.usage.at(name) : Usage{};
      const double us = static_cast<double>(usage.cpu_ns - before.cpu_ns) / 1'000 / messages;
      by_kind[kind_of(name)] += us;
      result.cpu_us_per_message += us;
      switches += static_cast<double>(usage.switches - before.switches);
      syscalls += static_cast<double>(usage.syscalls - before.syscalls);
    }
    result.cpu_us_by_kind.assign(by_kind.begin(), by_kind.end());
    result.switches_per_message = switches / messages;
    if (settings_.count_syscalls) result.syscalls_per_message = syscalls / messages;
    if (counts.frames_sent) {
      result.frames_per_message =
          static_cast<double>(*counts.frames_sent) / static_cast<double>(record.acked);
      result.messages_per_source_frame =
          static_cast<double>(record.acked) / static_cast<double>(*counts.source_frames_sent);
    }
    result.in_flight = static_cast<double>(middle_.read - middle_.acked);
    if (settings_.rate > 0) add_latency(result);
    return result;
  }

  void add_latency(Measured& result) const {
    std::uint64_t total = 0;
    std::vector<std::uint64_t> counts;
    for (std::size_t i = 0; i < last_.latencies.size(); ++i) {
      counts.push_back(last_.latencies[i] - first_.latencies[i]);
      total += counts.back();
    }
    const std::array<double, 4> shares = {0.5, 0.99, 0.999, 1.0};
    std::array<double, 4> quantiles{};
    for (std::size_t i = 0; i < shares.size(); ++i) {
      const auto wanted = static_cast<std::uint64_t>(shares[i] * static_cast<double>(total));
      std::uint64_t seen = 0;
      for (std::size_t bucket = 0; bucket < counts.size(); ++bucket) {
        seen += counts[bucket];
        if (counts[bucket] == 0 || seen < wanted) continue;
        quantiles[i] = static_cast<double>(FlowRecord::upper_bound_ns(bucket)) / 1'000;
        break;
      }
    }
    result.latency_us = quantiles;
  }

  Error with_log(Error error) const {
    const std::string log = nodes_->log();
    if (!log.empty()) error.message += "; the nodes said:\n" + log;
    return error;
  }

  const Settings& settings_;
  std::unique_ptr<Nodes> nodes_;
  std::optional<FlowRecordFile> record_;
  Sample first_;
  Sample middle_;
  Sample last_;
};

}  // namespace

Result<Measured> measure(const Settings& settings) {
  return Run(settings).measure();
}

}  // namespace tempest::bench
