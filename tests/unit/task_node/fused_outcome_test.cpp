// The same input has the same outcome, whether tasks are fused or each output is a delivery of its
// own: a coordinator's tracking and one handler, driven to the end both ways.

#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <unordered_set>
#include <vector>

#include "task_node/coordinator_link.hpp"
#include "task_node/handler.hpp"
#include "tempest/base/hash.hpp"
#include "tempest/base/limits.hpp"
#include "tempest/base/random.hpp"
#include "tempest/tracking/tracker.hpp"
#include "tempest/wire/codec.hpp"

using namespace tempest;
using namespace tempest::task_node;
using Status = wire::Results::Status;

namespace {

/// What a task does with each message; all of it follows from the message.
struct Behaviour {
  std::size_t outputs = 1;       ///< Each message makes up to so many,
  std::size_t bytes = 10;        ///< of so many bytes.
  bool exactly = false;          ///< All of them, whatever the message.
  std::size_t fails_one_in = 0;  ///< Zero: none.
  bool fails_for_good = false;
  int mends_at = 0;  ///< The attempt that works; 0: none does.
  std::string reason = "no";
  std::string named;  ///< An output that goes by a name, beside the others.
};

struct Shape {
  std::vector<dag::Node> nodes;
  std::vector<dag::EdgeByName> edges;
  std::vector<Behaviour> behaviours;
  std::vector<std::string> inputs;
  FailurePolicy policy = FailurePolicy::retry;
};

/// What became of all messages, in an order that does not depend on the run.
struct Ends {
  std::set<std::uint32_t> acked;
  std::map<std::uint32_t, wire::FailureKind> failed;
  std::map<std::uint32_t, std::string> reasons;
  std::map<std::string, std::uint64_t> done;  ///< By task; of messages that were acked.
  std::size_t largest_frame = 0;
};

struct Sink {
  /// By task and message, hashes of what was handled: to be run twice changes no outcome.
  std::map<std::string, std::map<std::uint64_t, std::unordered_set<std::uint64_t>>> seen;
};

/// Payloads begin with the number of the message that they come of.
class ScriptedTask : public Task {
 public:
  ScriptedTask(const Behaviour& behaviour, Sink& sink) : behaviour_(behaviour), sink_(sink) {}

  Result<void> handle(const Message& message, Context& context) override {
    const std::uint64_t drawn = hash_bytes(message.payload) ^ hash_bytes(context.task());
    const std::string_view number = message.payload.substr(0, message.payload.find('/'));
    const bool fails =
        behaviour_.fails_one_in > 0 && drawn % behaviour_.fails_one_in == 0 &&
        (behaviour_.mends_at == 0 || static_cast<int>(context.attempt()) < behaviour_.mends_at);
    if (fails) {
      return TaskError{behaviour_.fails_for_good ? TaskError::Kind::fail : TaskError::Kind::retry,
                       behaviour_.reason};
    }
    const std::size_t count =
        behaviour_.exactly ? behaviour_.outputs : (drawn >> 8) % (behaviour_.outputs + 1);
    std::string payload;
    for (std::size_t i = 0; i < count; ++i) {
      payload = std::string(number) + "/" + std::to_string(drawn % 1'000'003) + "." +
                std::to_string(i) + "/";
      payload.resize(std::max(payload.size(), behaviour_.bytes), 'x');
      context.emit(Message(payload, std::to_string(i % 7)));
    }
    if (!behaviour_.named.empty()) context.emit(Message(message.payload), behaviour_.named);
    sink_.seen[std::string(context.task())][std::stoull(std::string(number))].insert(drawn);
    return {};
  }

 private:
  const Behaviour& behaviour_;
  Sink& sink_;
};

class BothWays {
 public:
  explicit BothWays(const Shape& shape) : shape_(shape) {}

  Ends run(Fusing fusing) {
    std::vector<dag::Fault> faults;
    auto plan = std::make_shared<Plan>();
    plan->topology.graph = dag::Graph::build(shape_.nodes, shape_.edges, faults);
    REQUIRE(faults.empty());
    const dag::Graph& graph = plan->topology.graph;
    for (const dag::Node& node : shape_.nodes) {
      TaskDefinition& task = plan->topology.tasks.emplace_back();
      task.name = node.name;
      task.grouping = node.grouping;
      task.gather = node.gather;
      plan->tasks.push_back(graph.find(node.name));
    }
    plan->fusing = fusing;
    Sink sink;
    plan->create = [&](const TaskDefinition& task) -> Result<std::unique_ptr<Task>> {
      const auto place = static_cast<std::size_t>(graph.find(task.name));
      return std::unique_ptr<Task>(std::make_unique<ScriptedTask>(shape_.behaviours[place], sink));
    };
    Handler handler;
    REQUIRE(handler.build(plan));

    tracking::DeliveryTable table;
    tracking::Scheduler scheduler(graph, table);
    tracking::FailureRules rules;
    rules.policy = shape_.policy;
    rules.max_attempts = 3;
    tracking::Tracker tracker(graph, table, scheduler, rules, 1);
    scheduler.add_worker("w", plan->tasks, {64, 16 << 20});
    const tracking::Scheduler::DirectoryWorker listed{"w", plan->tasks};
    scheduler.set_directory(std::span(&listed, 1), 1);
    scheduler.set_settled(1);

    TimePoint now{std::chrono::seconds(1)};
    for (std::size_t i = 0; i < shape_.inputs.size(); ++i) {
      const SharedBytes frame(std::to_string(i) + "/" + shape_.inputs[i]);
      tracker.begin({1, 1}, {static_cast<std::uint32_t>(i), 1},
                    tracking::Payload::take({}, frame.view(), frame), now);
    }
    Ends ends;
    std::vector<tracking::Scheduler::Assignment> assignments;
    for (int idle = 0; idle < 3 && tracker.trees_in_flight() > 0;) {
      tracker.turn(now);
      assignments.clear();
      scheduler.dispatch(now, {}, assignments);
      if (assignments.empty()) {
        ++idle;
        now += std::chrono::minutes(1);
        continue;
      }
      idle = 0;
      for (const auto& assignment : assignments) {
        handle(handler, graph, table, tracker, assignment, now, ends);
      }
      collect(tracker, graph, ends);
    }
    collect(tracker, graph, ends);
    CHECK(tracker.trees_in_flight() == 0);
    CHECK(table.size() == 0);
    for (const auto& [task, seen] : sink.seen) {
      for (const auto& [message, handled] : seen) {
        if (ends.acked.contains(static_cast<std::uint32_t>(message)))
          ends.done[task] += handled.size();
      }
    }
    return ends;
  }

 private:
  static void handle(Handler& handler, const dag::Graph& graph, tracking::DeliveryTable& table,
                     tracking::Tracker& tracker, const tracking::Scheduler::Assignment& assignment,
                     TimePoint now, Ends& ends) {
    const tracking::Delivery& delivery = table.at(assignment.delivery);
    const DeliveryId id = table.id_of(assignment.delivery);
    const tracking::Payload payload = delivery.payload;
    const wire::Deliveries::Part part{delivery.edge, payload.key(), payload.bytes()};
    const wire::Deliveries::Item item{id, delivery.task, delivery.attempt, 0, 1};
    Execution execution;
    execution.task = delivery.task;
    execution.deliveries.push_back({&item, &part, 0});
    handler.run(execution);
    // As it goes to the coordinator.
    const Outcome& outcome = execution.outcomes[0];
    wire::Results results;
    for (std::uint32_t i = 0; i < outcome.output_count; ++i) {
      const Emitted& emitted = execution.outputs[outcome.first_output + i];
      wire::Results::Output& output = results.outputs.emplace_back(Execution::output(emitted));
      if (emitted.failure == wire::Results::kNotFailed) continue;
      output.failure = static_cast<std::uint32_t>(results.failures.size());
      results.failures.push_back(execution.failures[emitted.failure]);
    }
    results.items.push_back(
        {id, outcome.status, outcome.reason, outcome.retry_after_ms, 0, outcome.output_count, 0});
    const SharedBytes frame(wire::data_frame(results));
    ends.largest_frame = std::max(ends.largest_frame, frame.size());
    REQUIRE(frame.size() <= kMaxFrameBytes);
    wire::Results decoded;
    REQUIRE(wire::decode(frame.view().substr(wire::kDataHeaderBytes), decoded));
    take(tracker, graph, decoded, frame, assignment.worker, now);
  }

  static void take(tracking::Tracker& tracker, const dag::Graph& /*graph*/,
                   const wire::Results& results, const SharedBytes& frame, std::uint32_t worker,
                   TimePoint now) {
    std::vector<tracking::Tracker::Failure> failures;
    for (const wire::Results::Failure& failure : results.failures) {
      failures.push_back({failure.status == Status::fail, failure.reason, {}});
    }
    for (const wire::Results::Item& item : results.items) {
      if (item.status != Status::done) {
        tracker.fail(item.id, worker, {item.status == Status::fail, item.reason, {}}, now);
        continue;
      }
      std::vector<tracking::Tracker::Output> outputs;
      for (std::uint32_t i = 0; i < item.output_count; ++i) {
        const wire::Results::Output& output = results.outputs[item.first_output + i];
        const bool failed = output.failure != wire::Results::kNotFailed;
        outputs.push_back({output.output,
                           tracking::Payload::take(output.key, output.payload, frame), output.edge,
                           failed ? &failures[output.failure] : nullptr});
      }
      tracker.acknowledge(item.id, worker, outputs, now);
    }
  }

  static void collect(tracking::Tracker& tracker, const dag::Graph& /*graph*/, Ends& ends) {
    for (const auto& acked : tracker.acked()) ends.acked.insert(acked.message.slot);
    for (const auto& failed : tracker.failed()) {
      ends.failed[failed.message.slot] = failed.kind;
      ends.reasons[failed.message.slot] = failed.reason;
    }
    tracker.acked().clear();
    tracker.failed().clear();
  }

  const Shape& shape_;
};

void compare(const Shape& shape) {
  BothWays both(shape);
  const Ends plain = both.run(Fusing::never);
  const Ends fused = both.run(Fusing::always);
  CHECK(plain.acked.size() + plain.failed.size() == shape.inputs.size());
  CHECK(plain.acked == fused.acked);
  CHECK(plain.failed == fused.failed);
  CHECK(plain.reasons == fused.reasons);
  CHECK(plain.done == fused.done);
}

/// A graph of up to six tasks, each edge from an earlier to a later one.
Shape draw_shape(Random& random) {
  Shape shape;
  const std::size_t tasks = 2 + random.below(5);
  for (std::size_t i = 0; i < tasks; ++i) {
    dag::Node node{std::string(1, static_cast<char>('a' + i)), dag::Grouping::shuffle,
                   dag::Gather::none};
    if (i > 0 && random.below(4) == 0) node.grouping = dag::Grouping::key;
    if (i > 0 && node.grouping == dag::Grouping::shuffle && random.below(6) == 0) {
      node.gather = dag::Gather::each;
    }
    shape.nodes.push_back(node);
    Behaviour behaviour;
    const std::array<std::size_t, 6> fans{0, 1, 2, 5, 12, 40};
    behaviour.outputs = fans[random.below(fans.size())];
    const std::array<std::size_t, 5> sizes{10, 200, 3'000, 20'000, 60'000};
    behaviour.bytes = sizes[random.below(sizes.size())];
    if (behaviour.outputs > 5) behaviour.bytes = std::min<std::size_t>(behaviour.bytes, 3'000);
    shape.behaviours.push_back(behaviour);
  }
  for (std::size_t to = 1; to < tasks; ++to) {
    const std::size_t from = random.below(to);
    shape.edges.push_back({shape.nodes[from].name, shape.nodes[to].name, ""});
    const std::size_t other = random.below(to);
    if (other != from && random.below(3) == 0) {
      const bool is_named = random.below(2) == 0;
      if (is_named) shape.behaviours[other].named = "late";
      shape.edges.push_back(
          {shape.nodes[other].name, shape.nodes[to].name, is_named ? "late" : ""});
    }
  }
  // One way to fail at most, so that it does not matter which comes first.
  Behaviour& troubled = shape.behaviours[random.below(tasks)];
  switch (random.below(6)) {
    case 0:
      troubled.fails_one_in = 1 + random.below(20);
      troubled.fails_for_good = true;
      break;
    case 1:
      troubled.fails_one_in = 1 + random.below(10);
      troubled.reason = std::string(5'000, 'r');
      troubled.mends_at = random.below(2) == 0 ? 2 : 0;
      break;
    case 2:
      troubled.bytes = kMaxPayloadBytes + 1;
      troubled.outputs = 1;
      break;
    default:
      break;
  }
  if (random.below(3) == 0) shape.policy = FailurePolicy::best_effort;
  const std::size_t inputs = 1 + random.below(6);
  for (std::size_t i = 0; i < inputs; ++i) {
    shape.inputs.push_back(std::to_string(random.below(1'000'000)));
  }
  return shape;
}

/// a, which all others come after, and what it leads to.
Shape fan_of(std::size_t consumers, dag::Grouping grouping) {
  Shape shape;
  shape.nodes = {{"a", dag::Grouping::shuffle, dag::Gather::none},
                 {"b", dag::Grouping::shuffle, dag::Gather::none}};
  shape.edges = {{"a", "b", ""}};
  shape.behaviours.resize(2 + consumers);
  for (std::size_t i = 0; i < consumers; ++i) {
    shape.nodes.push_back({"c" + std::to_string(i), grouping, dag::Gather::none});
    shape.edges.push_back({"b", "c" + std::to_string(i), ""});
    shape.behaviours[2 + i].outputs = 0;
  }
  for (Behaviour& behaviour : shape.behaviours) behaviour.exactly = true;
  shape.inputs = {"1", "2"};
  return shape;
}

}  // namespace

TEST_CASE("fused or not, the same input has the same outcome") {
  const std::uint64_t first = 1;
  for (std::uint64_t seed = first; seed < first + 100; ++seed) {
    INFO("seed " << seed);
    Random random(seed);
    compare(draw_shape(random));
  }
}

TEST_CASE("large outputs to many keyed tasks are all done, fused or not") {
  Shape shape = fan_of(8, dag::Grouping::key);
  shape.behaviours[0].outputs = 450;
  shape.behaviours[1].bytes = 20'000;
  compare(shape);
}

TEST_CASE("very many small outputs to two tasks are all done, fused or not") {
  Shape shape = fan_of(2, dag::Grouping::shuffle);
  shape.behaviours[0].outputs = 4'000;
  shape.behaviours[1].outputs = 140;
  shape.inputs = {"1"};
  compare(shape);
}

TEST_CASE("as many outputs as one call may emit are all done, fused or not") {
  Shape shape = fan_of(2, dag::Grouping::key);
  shape.behaviours[0].outputs = 65'536;
  shape.inputs = {"1"};
  compare(shape);
  shape.behaviours[0].outputs = 65'537;
  compare(shape);
}

TEST_CASE("outputs as large as one call may emit fit into a frame beside what was fused") {
  Shape shape = fan_of(8, dag::Grouping::key);
  shape.edges.push_back({"a", "c0", ""});
  shape.behaviours[0].outputs = 3'000;
  shape.behaviours[0].bytes = 16'600;
  shape.behaviours[1].bytes = 5'000;
  shape.inputs = {"1"};
  compare(shape);
}

TEST_CASE("long reasons of very many fused failures fit into a frame") {
  Shape shape = fan_of(1, dag::Grouping::shuffle);
  shape.behaviours[0].outputs = 4'000;
  shape.behaviours[1].outputs = 4;
  shape.behaviours[2].fails_one_in = 1;
  shape.behaviours[2].mends_at = 2;
  shape.behaviours[2].reason = std::string(5'000, 'r');
  shape.inputs = {"1"};
  compare(shape);
}
