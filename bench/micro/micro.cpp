#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "bench/machines/hot_path.hpp"
#include "tempest/link/client.hpp"
#include "tempest/link/server.hpp"
#include "tempest/tracking/tracker.hpp"
#include "tempest/wire/codec.hpp"

/// What the parts of a message's way cost by themselves. Times are for one item, not for a batch.
namespace {

using namespace tempest;

constexpr std::size_t kBatch = 1'000;
const std::string kPayload(100, 'x');

void count_items(benchmark::State& state) {
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kBatch));
  state.counters["each"] =
      benchmark::Counter(static_cast<double>(state.iterations()) * kBatch,
                         benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

wire::Messages messages() {
  wire::Messages body;
  for (std::uint32_t i = 0; i < kBatch; ++i) body.items.push_back({{i, 1}, {}, kPayload});
  return body;
}

wire::Deliveries deliveries() {
  wire::Deliveries body;
  for (std::uint32_t i = 0; i < kBatch; ++i) {
    body.items.push_back({{i, 1}, TaskId{0}, 1, i, 1});
    body.parts.push_back({kNoEdge, {}, kPayload});
  }
  return body;
}

wire::Results results() {
  wire::Results body;
  for (std::uint32_t i = 0; i < kBatch; ++i) body.items.emplace_back().id = {i, 1};
  return body;
}

wire::Outcomes outcomes() {
  wire::Outcomes body;
  for (std::uint32_t i = 0; i < kBatch; ++i) body.acked.push_back({i, 1});
  return body;
}

template <typename Body>
void encode_body(benchmark::State& state, const Body& body) {
  std::string frame;
  for (auto _ : state) {
    wire::begin_data(wire::kKindOf<Body>, frame);
    wire::encode(body, frame);
    benchmark::DoNotOptimize(frame.data());
  }
  count_items(state);
}

template <typename Body>
void decode_body(benchmark::State& state, const Body& body) {
  std::string frame;
  wire::encode(body, frame);
  Body decoded;
  for (auto _ : state) {
    if (!wire::decode(frame, decoded)) state.SkipWithError("it cannot be decoded");
    benchmark::DoNotOptimize(&decoded);
  }
  count_items(state);
}

/// A batch of messages through a coordinator's tracking: trees begun, deliveries given to a worker,
/// results, acks.
void track(benchmark::State& state) {
  std::vector<dag::Node> nodes = {{"drop", dag::Grouping::shuffle, dag::Gather::none}};
  std::vector<dag::Fault> faults;
  const dag::Graph graph = dag::Graph::build(std::move(nodes), {}, faults);
  tracking::DeliveryTable table;
  tracking::Scheduler scheduler(graph, table);
  tracking::Tracker tracker(graph, table, scheduler, {}, 1);
  const std::vector<TaskId> tasks = {TaskId{0}};
  const std::uint32_t worker = scheduler.add_worker("worker", tasks, {1'000'000, 1ULL << 40});
  const std::vector<bool> blocked(1);
  std::vector<tracking::Scheduler::Assignment> assignments;
  TimePoint now{std::chrono::seconds(1)};
  for (auto _ : state) {
    now += std::chrono::milliseconds(1);
    for (std::uint32_t i = 0; i < kBatch; ++i) {
      tracker.begin({1, 1}, {i, 1}, tracking::Payload::take({}, kPayload, {}), now);
    }
    assignments.clear();
    scheduler.dispatch(now, blocked, assignments);
    for (const auto& assignment : assignments) {
      tracker.acknowledge(table.id_of(assignment.delivery), worker, {}, now);
    }
    if (tracker.acked().size() != kBatch) state.SkipWithError("not all were acked");
    tracker.acked().clear();
  }
  count_items(state);
}

/// Frames from a client to a server and the confirmations back, `range` bytes each.
void pass_frames(benchmark::State& state) {
  link::Client client({Role::source, "source", {1, 1}, "bench"}, {}, 1);
  link::Server server({Role::pipeline, "pipeline", {2, 2}, "bench"}, {});
  TimePoint now{std::chrono::seconds(1)};
  link::Output up;
  link::Output down;
  const auto exchange = [&] {
    client.turn(now, up);
    server.turn(now, down);
    for (auto& frame : up.frames) server.receive("source", frame.frame.view(), now, down);
    up.frames.clear();
    for (auto& frame : down.frames) client.receive(frame.frame.view(), now, up);
    down.frames.clear();
    up.events.clear();
    down.events.clear();
  };
  while (!client.is_up()) exchange();
  const std::string body(static_cast<std::size_t>(state.range(0)), 'x');
  for (auto _ : state) {
    now += std::chrono::microseconds(100);
    std::string frame;
    wire::begin_data(wire::BodyKind::messages, frame);
    frame += body;
    if (client.can_send()) client.send(wire::BodyKind::messages, std::move(frame), now, up);
    exchange();
  }
}

/// All machines together, without sockets: docs/performance.md's model of a message's cost.
void all_machines(benchmark::State& state) {
  bench::HotPath path({.size_bytes = 100, .depth = static_cast<std::size_t>(state.range(0))});
  path.run(1);
  for (auto _ : state) path.run(kBatch);
  count_items(state);
}

BENCHMARK_CAPTURE(encode_body, messages, messages());
BENCHMARK_CAPTURE(decode_body, messages, messages());
BENCHMARK_CAPTURE(encode_body, deliveries, deliveries());
BENCHMARK_CAPTURE(decode_body, deliveries, deliveries());
BENCHMARK_CAPTURE(encode_body, results, results());
BENCHMARK_CAPTURE(decode_body, results, results());
BENCHMARK_CAPTURE(encode_body, outcomes, outcomes());
BENCHMARK_CAPTURE(decode_body, outcomes, outcomes());
BENCHMARK(track);
BENCHMARK(pass_frames)->Arg(100)->Arg(100'000);
BENCHMARK(all_machines)->Arg(1)->Arg(2)->Arg(8);

}  // namespace

BENCHMARK_MAIN();
