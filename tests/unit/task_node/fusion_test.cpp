#include "task_node/fusion.hpp"

#include <catch2/catch.hpp>
#include <chrono>
#include <functional>
#include <map>
#include <stdexcept>

#include "task_node/handler.hpp"

using namespace tempest;
using namespace tempest::task_node;
using Status = wire::Results::Status;
using Texts = std::vector<std::string>;

namespace {

using Handle = std::function<Result<void>(const Message&, Context&)>;

struct ScriptedTask : Task {
  Handle on_handle;
  bool takes_batches = false;

  Result<void> handle(const Message& message, Context& context) override {
    return on_handle(message, context);
  }
  bool batches() const override { return takes_batches; }
};

/// Hands on what it is given, with its name before it.
Handle passes_on() {
  return [](const Message& message, Context& context) -> Result<void> {
    context.emit(std::string(context.task()) + "(" + std::string(message.payload) + ")");
    return {};
  };
}

/// One handler of a graph whose tasks do what the test says.
class Fused {
 public:
  /// Edges as "a-b", or "a-b:output".
  explicit Fused(const Texts& edges, Fusing fusing = Fusing::always) : fusing_(fusing) {
    for (const std::string& edge : edges) {
      const std::string output = edge.size() > 3 ? edge.substr(4) : "";
      edges_.push_back({edge.substr(0, 1), edge.substr(2, 1), output});
      for (const std::string& name : {edge.substr(0, 1), edge.substr(2, 1)}) {
        if (tasks.contains(name)) continue;
        tasks[name].on_handle = passes_on();
        definitions[name].name = name;
      }
    }
  }

  std::map<std::string, ScriptedTask> tasks;
  std::map<std::string, TaskDefinition> definitions;
  Texts served;
  Execution execution;

  /// Handles these as deliveries of task "a". What remained of each: "edge:payload" for what goes
  /// on by an edge, "name/payload" by a name; "!reason" after one that has failed.
  std::vector<Texts> run(const Texts& payloads, bool alone = false) {
    build();
    execution.clear();
    execution.task = TaskId{0};
    std::vector<wire::Deliveries::Item> items;
    std::vector<wire::Deliveries::Part> parts;
    for (const auto& payload : payloads) parts.push_back({kNoEdge, {}, payload});
    for (std::size_t i = 0; i < parts.size(); ++i) {
      items.push_back({DeliveryId{}, TaskId{0}, 3, static_cast<std::uint32_t>(i), 1, alone});
    }
    for (std::size_t i = 0; i < items.size(); ++i) {
      execution.deliveries.push_back({&items[i], &parts[i], 0});
    }
    handler_->run(execution);
    REQUIRE(execution.outcomes.size() == payloads.size());
    std::vector<Texts> left;
    for (const Outcome& outcome : execution.outcomes) left.push_back(left_of(outcome));
    return left;
  }

  const FusedTask* fused(const std::string& name) const {
    for (const FusedTask& task : execution.fused) {
      if (task.task == graph().find(name)) return &task;
    }
    return nullptr;
  }
  std::uint64_t handled(const std::string& name, Status status = Status::done) const {
    const FusedTask* task = fused(name);
    return task == nullptr ? 0 : task->handled[static_cast<std::size_t>(status)];
  }

 private:
  void build() {
    if (handler_) return;
    auto plan = std::make_shared<Plan>();
    std::vector<dag::Node> nodes;
    for (const auto& [name, definition] : definitions) {
      plan->topology.tasks.push_back(definition);
      nodes.push_back({name, definition.grouping, definition.gather});
    }
    std::vector<dag::Fault> faults;
    plan->topology.graph = dag::Graph::build(std::move(nodes), edges_, faults);
    REQUIRE(faults.empty());
    for (const auto& [name, definition] : definitions) {
      const bool is_served =
          served.empty() || std::find(served.begin(), served.end(), name) != served.end();
      if (is_served) plan->tasks.push_back(plan->topology.graph.find(name));
    }
    plan->fusing = fusing_;
    plan->create = [this](const TaskDefinition& task) -> Result<std::unique_ptr<Task>> {
      return std::unique_ptr<Task>(std::make_unique<ScriptedTask>(tasks.at(task.name)));
    };
    plan_ = plan;
    handler_ = std::make_unique<Handler>();
    REQUIRE(handler_->build(plan_));
  }

  const dag::Graph& graph() const { return plan_->topology.graph; }

  Texts left_of(const Outcome& outcome) const {
    Texts left;
    for (std::uint32_t i = 0; i < outcome.output_count; ++i) {
      const Emitted& emitted = execution.outputs[outcome.first_output + i];
      std::string text;
      if (emitted.edge == kNoEdge) {
        text = std::string(emitted.name()) + "/";
      } else {
        const dag::Edge& edge = graph().edge(emitted.edge);
        text = graph().node(edge.from).name + "-" + graph().node(edge.to).name + ":";
      }
      text += emitted.payload();
      if (emitted.failure != wire::Results::kNotFailed) {
        text += "!" + std::string(execution.failures[emitted.failure].reason);
      }
      left.push_back(text);
    }
    return left;
  }

  Fusing fusing_;
  std::vector<dag::EdgeByName> edges_;
  std::shared_ptr<const Plan> plan_;
  std::unique_ptr<Handler> handler_;
};

}  // namespace

TEST_CASE("a chain of tasks that are all served runs to its end in one call") {
  Fused run({"a-b", "b-c"});
  std::string seen;
  run.tasks["c"].on_handle = [&](const Message& message, Context& context) -> Result<void> {
    seen = std::string(message.payload) + " " + std::string(context.origin());
    CHECK(context.attempt() == 1);
    return {};
  };
  CHECK(run.run({"x", "y"}) == std::vector<Texts>{{}, {}});
  CHECK(seen == "b(a(y)) b");
  CHECK(run.handled("b") == 2);
  CHECK(run.handled("c") == 2);
  CHECK(run.fused("b")->outputs == 2);
  CHECK(run.fused("b")->handle_times.count() == 2);
  CHECK(run.execution.handle_times.count() == 2);
}

TEST_CASE("what a fused task hands to one that is not served goes on by its edge") {
  Fused run({"a-b", "b-c", "a-d"});
  run.served = {"a", "b"};
  CHECK(run.run({"x"}) == std::vector<Texts>{{"a-d:a(x)", "b-c:b(a(x))"}});
}

TEST_CASE("nothing is fused with a task that groups, gathers, takes batches or has a timeout") {
  const int which = GENERATE(0, 1, 2, 3, 4);
  Fused run({"a-b"});
  if (which == 0) run.definitions["b"].grouping = dag::Grouping::key;
  if (which == 1) run.definitions["b"].gather = dag::Gather::each;
  if (which == 2) run.tasks["b"].takes_batches = true;
  if (which == 3) run.definitions["b"].timeout = std::chrono::seconds(1);
  if (which == 4) run.definitions["a"].timeout = std::chrono::seconds(1);
  CHECK(run.run({"x"}) == std::vector<Texts>{{"/a(x)"}});
  CHECK(run.execution.fused.empty());
}

TEST_CASE("nothing is fused after a delivery that is to run alone, or where fusing is off") {
  Fused alone({"a-b"});
  CHECK(alone.run({"x"}, true) == std::vector<Texts>{{"/a(x)"}});
  Fused off({"a-b"}, Fusing::never);
  CHECK(off.run({"x"}) == std::vector<Texts>{{"/a(x)"}});
}

TEST_CASE("a fused task that fails, or throws, leaves its message with the reason") {
  Fused run({"a-b", "b-c"});
  run.tasks["b"].on_handle = [](const Message& message, Context& context) -> Result<void> {
    context.emit("never seen");
    if (message.payload == "a(bad)") return TaskError{TaskError::Kind::fail, "it is bad"};
    if (message.payload == "a(odd)") throw std::runtime_error("it is odd");
    return {};
  };
  CHECK(run.run({"bad", "good", "odd"}) ==
        std::vector<Texts>{{"a-b:a(bad)!it is bad"}, {}, {"a-b:a(odd)!it is odd"}});
  CHECK(run.execution.failures[0].status == Status::fail);
  CHECK(run.execution.failures[1].status == Status::retry);
  CHECK(run.handled("b", Status::fail) == 1);
  CHECK(run.handled("b", Status::retry) == 1);
  CHECK(run.handled("b") == 1);
  CHECK(run.handled("c") == 1);
  CHECK(run.execution.outcomes[0].status == Status::done);
}

TEST_CASE("nothing is fused of a call that fails") {
  Fused run({"a-b"});
  run.tasks["a"].on_handle = [](const Message&, Context& context) -> Result<void> {
    context.emit("x");
    return TaskError{TaskError::Kind::retry, "not yet"};
  };
  CHECK(run.run({"x"}) == std::vector<Texts>{{}});
  CHECK(run.execution.outcomes[0].status == Status::retry);
  CHECK(run.execution.outcomes[0].reason == "not yet");
  CHECK(run.handled("b") == 0);
}

TEST_CASE("outputs by name take the edges of that name, fused or not") {
  Fused run({"a-b:late", "a-c", "c-d:odd"});
  run.tasks["a"].on_handle = [](const Message&, Context& context) -> Result<void> {
    context.emit("1", "late");
    context.emit("2");
    context.emit("3", "nobody");
    return {};
  };
  run.served = {"a", "b", "c"};
  run.tasks["c"].on_handle = [](const Message&, Context& context) -> Result<void> {
    context.emit("4", "odd");
    context.emit("5", "even");
    return {};
  };
  CHECK(run.run({"x"}) == std::vector<Texts>{{"nobody/3", "c-d:4"}});
  CHECK(run.handled("b") == 1);
  CHECK(run.fused("c")->outputs == 2);
  CHECK(run.fused("c")->unrouted_outputs == 1);
}

TEST_CASE("a fused task that makes too much of one message is left to deliveries of its own") {
  Fused run({"a-b", "b-c"});
  run.served = {"a", "b"};
  int calls = 0;
  run.tasks["b"].on_handle = [&](const Message&, Context& context) -> Result<void> {
    ++calls;
    for (std::size_t i = 0; i <= Fusion::kMostOutputs; ++i) context.emit("x");
    return {};
  };
  CHECK(run.run({"x", "y"}) == std::vector<Texts>{{"a-b:a(x)"}, {"/a(y)"}});
  CHECK(calls == 1);
}

TEST_CASE("what fused tasks leave to many others of one delivery still fits into a frame") {
  Fused run({"a-b", "b-c", "b-d", "b-e", "b-f", "b-g", "b-h", "b-i", "b-j"});
  run.served = {"a", "b"};
  run.tasks["a"].on_handle = [](const Message&, Context& context) -> Result<void> {
    for (int i = 0; i < 2'000; ++i) context.emit("x");
    return {};
  };
  const std::string large(20'000, 'y');
  run.tasks["b"].on_handle = [&](const Message&, Context& context) -> Result<void> {
    for (int i = 0; i < 10; ++i) context.emit(large);
    return {};
  };
  const auto left = run.run({"x"});
  std::size_t bytes = 0;
  for (const std::string& text : left[0]) bytes += text.size() + 16;
  CHECK(bytes < kMaxFrameBytes / 4);
  // Nothing is lost: what is not fused goes on by its name.
  CHECK(run.handled("b") +
            static_cast<std::uint64_t>(std::count(left[0].begin(), left[0].end(), "/x")) ==
        2'000);
}

TEST_CASE("of a very wide fan-out the first are fused, the rest goes on by name") {
  Fused run({"a-b"});
  run.tasks["a"].on_handle = [](const Message&, Context& context) -> Result<void> {
    for (std::size_t i = 0; i < Fusion::kMostOutputs + 10; ++i) context.emit("x");
    return {};
  };
  const auto left = run.run({"x"});
  CHECK(left[0] == Texts(10, "/x"));
  CHECK(run.handled("b") == Fusion::kMostOutputs);
}

TEST_CASE("a task that turns out slow is left to the coordinator") {
  Fused run({"a-b"}, Fusing::when_quick);
  run.tasks["b"].on_handle = [](const Message&, Context&) -> Result<void> {
    const auto begun = std::chrono::steady_clock::now();
    while (std::chrono::steady_clock::now() - begun < std::chrono::milliseconds(2)) {
    }
    return {};
  };
  const auto left = run.run({"x", "y", "z"});
  CHECK(left == std::vector<Texts>{{}, {"/a(y)"}, {"/a(z)"}});
}

TEST_CASE("messages that fused tasks hand on stay where they are while more is emitted") {
  Fused run({"a-b", "b-c"});
  run.served = {"a", "b"};
  run.tasks["a"].on_handle = [](const Message& message, Context& context) -> Result<void> {
    for (int i = 0; i < 20; ++i) context.emit(std::string(message.payload) + std::to_string(i));
    return {};
  };
  run.tasks["b"].on_handle = [](const Message& message, Context& context) -> Result<void> {
    context.emit(std::string(10'000, 'x'));
    context.emit(message.payload);
    return {};
  };
  const auto left = run.run({"m"});
  REQUIRE(left[0].size() == 40);
  for (std::size_t i = 0; i < 20; ++i) CHECK(left[0][2 * i + 1] == "b-c:m" + std::to_string(i));
}
