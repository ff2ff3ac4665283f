#include "task_node/handler.hpp"

#include <catch2/catch.hpp>
#include <functional>
#include <stdexcept>

#include "tempest/base/limits.hpp"

using namespace tempest;
using namespace tempest::task_node;
using Status = wire::Results::Status;

namespace {

/// A task of which a test says what it does.
struct ScriptedTask : Task {
  using Handle = std::function<Result<void>(const Message&, Context&)>;
  using HandleBatch =
      std::function<std::vector<Result<void>>(std::span<const Message>, std::span<Context* const>)>;
  Handle on_handle = [](const Message&, Context&) { return Result<void>(); };
  HandleBatch on_batch;
  std::function<bool(const Message&)> on_filter = [](const Message&) { return true; };

  bool filter(const Message& message) override { return on_filter(message); }
  Result<void> handle(const Message& message, Context& context) override {
    return on_handle(message, context);
  }
  bool batches() const override { return on_batch != nullptr; }
  std::size_t max_batch() const override { return 3; }
  std::vector<Result<void>> handle_batch(std::span<const Message> messages,
                                         std::span<Context* const> contexts) override {
    return on_batch(messages, contexts);
  }
};

/// What came of a delivery, in plain words.
struct Seen {
  Status status{};
  std::string reason;
  std::vector<std::string> outputs;  ///< "name/key/payload"
};

/// source -> first -> second (gathers) , second is terminal.
class HandlerFixture {
 public:
  Handler handler;
  ScriptedTask script;

  void build(dag::Gather gather = dag::Gather::none) {
    auto plan = std::make_shared<Plan>();
    plan->topology.tasks.resize(2);
    plan->topology.tasks[0].name = "first";
    plan->topology.tasks[0].gather = gather;
    plan->topology.tasks[1].name = "second";
    std::vector<dag::Fault> faults;
    plan->topology.graph = dag::Graph::build(
        {{"first", dag::Grouping::shuffle, gather}, {"second", dag::Grouping::shuffle}},
        {{"first", "second", ""}}, faults);
    REQUIRE(faults.empty());
    plan->tasks = {TaskId{0}, TaskId{1}};
    plan->create = [this](const TaskDefinition&) -> Result<std::unique_ptr<Task>> {
      return std::unique_ptr<Task>(std::make_unique<ScriptedTask>(script));
    };
    REQUIRE(handler.build(plan));
  }

  /// Each inner list is a delivery's parts.
  std::vector<Seen> run(const std::vector<std::vector<std::string>>& deliveries,
                        TaskId task = TaskId{0}, EdgeId edge = kNoEdge) {
    execution.clear();
    execution.task = task;
    std::vector<wire::Deliveries::Item> items;
    std::vector<wire::Deliveries::Part> parts;
    for (const auto& delivery : deliveries) {
      const auto first = static_cast<std::uint32_t>(parts.size());
      for (const auto& payload : delivery) parts.push_back({edge, "a key", payload});
      items.push_back({DeliveryId{}, task, 4, first, static_cast<std::uint32_t>(delivery.size())});
    }
    for (const auto& item : items) {
      execution.deliveries.push_back({&item, &parts[item.first_part], 0});
    }
    handler.run(execution);

    REQUIRE(execution.outcomes.size() == deliveries.size());
    std::vector<Seen> seen;
    for (const Outcome& outcome : execution.outcomes) {
      Seen& one = seen.emplace_back();
      one.status = outcome.status;
      one.reason = outcome.reason;
      for (std::uint32_t i = 0; i < outcome.output_count; ++i) {
        const auto output = execution.output(execution.outputs[outcome.first_output + i]);
        one.outputs.push_back(std::string(output.output) + "/" + std::string(output.key) + "/" +
                              std::string(output.payload));
      }
    }
    return seen;
  }

  Execution execution;
};

}  // namespace

TEST_CASE_METHOD(HandlerFixture, "outputs belong to the delivery that was being handled") {
  script.on_handle = [](const Message& message, Context& context) -> Result<void> {
    for (std::size_t i = 0; i < message.payload.size(); ++i) {
      context.emit(Message(message.payload.substr(i, 1), message.key), i == 0 ? "late" : "");
    }
    return {};
  };
  build();
  const auto seen = run({{"ab"}, {""}, {"c"}});
  CHECK(seen[0].outputs == std::vector<std::string>{"late/a key/a", "/a key/b"});
  CHECK(seen[1].status == Status::done);
  CHECK(seen[1].outputs.empty());
  CHECK(seen[2].outputs == std::vector<std::string>{"late/a key/c"});
  CHECK(execution.handle_times.count() == 3);
}

TEST_CASE_METHOD(HandlerFixture, "what was emitted before an error is dropped") {
  script.on_handle = [](const Message& message, Context& context) -> Result<void> {
    context.emit(message);
    if (message.payload == "bad") return TaskError{TaskError::Kind::fail, "it is bad"};
    if (message.payload == "later") {
      return TaskError{TaskError::Kind::retry, "not yet", std::chrono::microseconds(1500)};
    }
    return {};
  };
  build();
  const auto seen = run({{"good"}, {"bad"}, {"later"}, {"fine"}});
  CHECK(seen[0].outputs == std::vector<std::string>{"/a key/good"});
  CHECK(seen[1].status == Status::fail);
  CHECK(seen[1].reason == "it is bad");
  CHECK(seen[1].outputs.empty());
  CHECK(seen[2].status == Status::retry);
  CHECK(seen[2].reason == "not yet");
  CHECK(execution.outcomes[2].retry_after_ms == 2);
  CHECK(seen[3].outputs == std::vector<std::string>{"/a key/fine"});
}

TEST_CASE_METHOD(HandlerFixture, "exceptions of every kind are errors to be tried again") {
  script.on_handle = [](const Message& message, Context& context) -> Result<void> {
    context.emit(message);
    if (message.payload == "std") throw std::runtime_error("out of luck");
    if (message.payload == "int") throw 42;
    return {};
  };
  script.on_filter = [](const Message& message) {
    if (message.payload == "filter") throw std::logic_error("no filter");
    return true;
  };
  build();
  const auto seen = run({{"std"}, {"int"}, {"filter"}, {"fine"}});
  CHECK(seen[0].status == Status::retry);
  CHECK(seen[0].reason == "out of luck");
  CHECK(seen[0].outputs.empty());
  CHECK(seen[1].status == Status::retry);
  CHECK(seen[1].reason == "the task threw something that is not a std::exception");
  CHECK(seen[2].reason == "no filter");
  CHECK(seen[3].status == Status::done);
}

TEST_CASE_METHOD(HandlerFixture, "a message that the filter refuses is done without outputs") {
  script.on_filter = [](const Message& message) { return message.payload != "skip"; };
  script.on_handle = [](const Message& message, Context& context) -> Result<void> {
    context.emit(message);
    return {};
  };
  build();
  const auto seen = run({{"skip"}, {"take"}});
  CHECK(seen[0].status == Status::done);
  CHECK(seen[0].outputs.empty());
  CHECK(seen[1].outputs.size() == 1);
}

TEST_CASE_METHOD(HandlerFixture, "a context knows the task, the origin and the attempt") {
  std::string told;
  script.on_handle = [&](const Message&, Context& context) -> Result<void> {
    told = std::string(context.task()) + " " + std::string(context.origin()) + " " +
           std::to_string(context.attempt());
    return {};
  };
  build();
  run({{"x"}});
  CHECK(told == "first source 4");
  run({{"x"}}, TaskId{1}, EdgeId{0});
  CHECK(told == "second first 4");
  run({{"x"}}, TaskId{1}, EdgeId{99});
  CHECK(told == "second source 4");
}

TEST_CASE_METHOD(HandlerFixture, "what a task without successors emits is counted, not sent") {
  script.on_handle = [](const Message& message, Context& context) -> Result<void> {
    context.emit(message);
    context.emit(message);
    return {};
  };
  build();
  const auto seen = run({{"x"}, {"y"}}, TaskId{1}, EdgeId{0});
  CHECK(seen[0].outputs.empty());
  CHECK(execution.dropped_outputs == 4);
}

TEST_CASE_METHOD(HandlerFixture, "an output that no edge takes is noted with its task and name") {
  script.on_handle = [](const Message& message, Context& context) -> Result<void> {
    context.emit(message);
    context.emit(message, "error");
    context.emit(message, "second");
    context.emit(message, "late");
    context.emit(message, "error");
    return {};
  };
  build();
  run({{"x"}, {"y"}});
  REQUIRE(execution.untaken.size() == 2);
  CHECK(execution.untaken[0].task == TaskId{0});
  CHECK(execution.untaken[0].output == "error");
  CHECK(execution.untaken[0].count == 4);
  CHECK(execution.untaken[1].output == "late");
  CHECK(execution.untaken[1].count == 2);
  // Of a task without edges, too; but what it emits without a name is dropped by design.
  run({{"x"}}, TaskId{1}, EdgeId{0});
  REQUIRE(execution.untaken.size() == 3);
  CHECK(execution.untaken[1].task == TaskId{1});
  CHECK(execution.untaken[1].output == "second");
}

TEST_CASE_METHOD(HandlerFixture,
                 "an output beyond the limits fails its delivery, with the reason") {
  const std::string large(kMaxPayloadBytes + 1, 'x');
  const std::string half(kMaxPayloadBytes, 'x');
  script.on_handle = [&](const Message& message, Context& context) -> Result<void> {
    context.emit("before");
    if (message.payload == "payload") context.emit(large);
    if (message.payload == "key") context.emit(Message("x", large));
    if (message.payload == "name") context.emit("x", std::string(kMaxNameBytes + 1, 'n'));
    if (message.payload == "count") {
      for (std::size_t i = 0; i < kMaxFrameItems; ++i) context.emit("x");
    }
    if (message.payload == "sum") {
      for (int i = 0; i < 4; ++i) context.emit(half);
    }
    return {};
  };
  build();
  const auto seen = run({{"payload"}, {"key"}, {"name"}, {"count"}, {"sum"}, {"fine"}});
  for (int i = 0; i < 5; ++i) {
    CHECK(seen[static_cast<std::size_t>(i)].status == Status::fail);
    CHECK(seen[static_cast<std::size_t>(i)].outputs.empty());
  }
  CHECK(seen[0].reason ==
        "an output's payload of 16777217 bytes is larger than the 16777216 allowed");
  CHECK(seen[1].reason == "an output's key of 16777217 bytes is larger than the 16777216 allowed");
  CHECK(seen[2].reason == "an output's name of 256 bytes is larger than the 255 allowed");
  CHECK(seen[3].reason == "more than the 65536 outputs allowed were emitted for one message");
  CHECK(seen[4].reason ==
        "outputs of more than the 50331648 bytes allowed were emitted for one message");
  CHECK(seen[5].outputs == std::vector<std::string>{"//before"});
}

TEST_CASE_METHOD(HandlerFixture, "a long reason is cut between characters") {
  std::string reason(kMaxReasonBytes - 1, 'r');
  reason += "\xc3\xa4 and so on";
  script.on_handle = [&](const Message&, Context&) -> Result<void> {
    return TaskError{TaskError::Kind::fail, reason};
  };
  build();
  CHECK(run({{"x"}})[0].reason == std::string(kMaxReasonBytes - 1, 'r'));
}

TEST_CASE_METHOD(HandlerFixture, "a batch has an outcome for each, and outputs in any order") {
  std::vector<std::size_t> sizes;
  script.on_batch = [&](std::span<const Message> messages, std::span<Context* const> contexts) {
    sizes.push_back(messages.size());
    std::vector<Result<void>> outcomes(messages.size());
    for (std::size_t i = messages.size(); i-- > 0;) {
      contexts[i]->emit(messages[i]);
      if (messages[i].payload == "bad") outcomes[i] = TaskError{TaskError::Kind::fail, "bad"};
    }
    for (std::size_t i = 0; i < messages.size(); ++i) contexts[i]->emit("more");
    return outcomes;
  };
  script.on_filter = [](const Message& message) { return message.payload != "skip"; };
  build();
  const auto seen = run({{"a"}, {"skip"}, {"bad"}, {"b"}, {"c"}});
  CHECK(sizes == std::vector<std::size_t>{2, 2});  // Three at most, less the one skipped.
  CHECK(seen[0].outputs == std::vector<std::string>{"/a key/a", "//more"});
  CHECK(seen[1].status == Status::done);
  CHECK(seen[1].outputs.empty());
  CHECK(seen[2].status == Status::fail);
  CHECK(seen[2].outputs.empty());
  CHECK(seen[3].outputs == std::vector<std::string>{"/a key/b", "//more"});
  CHECK(seen[4].outputs == std::vector<std::string>{"/a key/c", "//more"});
}

TEST_CASE_METHOD(HandlerFixture,
                 "a batch with a wrong number of outcomes is an error of all in it") {
  script.on_batch = [](std::span<const Message>, std::span<Context* const> contexts) {
    contexts[0]->emit("x");
    return std::vector<Result<void>>(2);
  };
  build();
  const auto seen = run({{"a"}, {"b"}, {"c"}});
  for (const Seen& one : seen) {
    CHECK(one.status == Status::retry);
    CHECK(one.reason == "handle_batch returned 2 outcomes for 1 messages");
    CHECK(one.outputs.empty());
  }
}

TEST_CASE_METHOD(HandlerFixture,
                 "an exception in a batch fails only the message that is at fault") {
  std::vector<std::size_t> sizes;
  script.on_batch = [&](std::span<const Message> messages,
                        std::span<Context* const> contexts) -> std::vector<Result<void>> {
    sizes.push_back(messages.size());
    for (std::size_t i = 0; i < messages.size(); ++i) {
      contexts[i]->emit(messages[i]);
      if (messages[i].payload == "b") throw std::runtime_error("no batch");
    }
    return std::vector<Result<void>>(messages.size());
  };
  build();
  const auto seen = run({{"a"}, {"b"}, {"c"}, {"d"}});
  CHECK(sizes == std::vector<std::size_t>{3, 1, 1, 1, 1});
  CHECK(seen[0].status == Status::done);
  CHECK(seen[0].outputs == std::vector<std::string>{"/a key/a"});
  CHECK(seen[1].status == Status::retry);
  CHECK(seen[1].reason == "no batch");
  CHECK(seen[1].outputs.empty());
  CHECK(seen[2].outputs == std::vector<std::string>{"/a key/c"});
  CHECK(seen[3].status == Status::done);
}

TEST_CASE_METHOD(HandlerFixture, "what is sealed is not begun, and what was done before stays") {
  int calls = 0;
  script.on_handle = [&](const Message& message, Context& context) -> Result<void> {
    context.emit(message);
    if (++calls == 2) CHECK(execution.seal() == 2);
    return {};
  };
  build();
  const auto seen = run({{"a"}, {"b"}, {"c"}});
  CHECK(calls == 2);
  CHECK(execution.begun() == 2);
  CHECK(seen[0].outputs.size() == 1);
  CHECK(seen[1].outputs.size() == 1);
}

namespace {

struct GatheringTask : ScriptedTask {
  Result<void> gather(std::span<const Message> messages, std::span<const std::string_view> origins,
                      Context& context) override {
    std::string all;
    for (std::size_t i = 0; i < messages.size(); ++i) {
      all += std::string(origins[i]) + ":" + std::string(messages[i].payload) + " ";
    }
    context.emit(all);
    return {};
  }
};

}  // namespace

TEST_CASE_METHOD(HandlerFixture, "gather gets all messages of a delivery, with their origins") {
  auto plan = std::make_shared<Plan>();
  plan->topology.tasks.resize(3);
  plan->topology.tasks[0].name = "left";
  plan->topology.tasks[1].name = "right";
  plan->topology.tasks[2].name = "join";
  plan->topology.tasks[2].gather = dag::Gather::all;
  std::vector<dag::Fault> faults;
  plan->topology.graph = dag::Graph::build(
      {{"left"}, {"right"}, {"join", dag::Grouping::shuffle, dag::Gather::all}, {"out"}},
      {{"left", "join", ""}, {"right", "join", ""}, {"join", "out", ""}}, faults);
  REQUIRE(faults.empty());
  plan->tasks = {TaskId{2}};
  plan->create = [](const TaskDefinition&) -> Result<std::unique_ptr<Task>> {
    return std::unique_ptr<Task>(std::make_unique<GatheringTask>());
  };
  REQUIRE(handler.build(plan));
  CHECK(handler.served().size() == 1);

  const wire::Deliveries::Item item{DeliveryId{}, TaskId{2}, 1, 0, 2};
  const std::vector<wire::Deliveries::Part> parts{{EdgeId{1}, {}, "b"}, {EdgeId{0}, {}, "a"}};
  execution.task = TaskId{2};
  execution.deliveries = {{&item, parts.data(), 0}};
  handler.run(execution);
  REQUIRE(execution.outputs.size() == 1);
  CHECK(execution.output(execution.outputs[0]).payload == "right:b left:a ");
}

TEST_CASE("a task that cannot be made is named in the error") {
  Handler handler;
  auto plan = std::make_shared<Plan>();
  plan->topology.tasks.resize(1);
  plan->topology.tasks[0].name = "first";
  std::vector<dag::Fault> faults;
  plan->topology.graph = dag::Graph::build({{"first"}}, {}, faults);
  plan->tasks = {TaskId{0}};
  plan->create = [](const TaskDefinition& definition) -> Result<std::unique_ptr<Task>> {
    return Error{ErrorCode::configuration, "task \"" + definition.name + "\": no luck"};
  };
  const auto built = handler.build(plan);
  REQUIRE_FALSE(built);
  CHECK(built.error().message == "task \"first\": no luck");
}

TEST_CASE_METHOD(HandlerFixture, "a traced delivery is timed by itself, in a batch with its call") {
  const bool batched = GENERATE(false, true);
  if (batched) {
    script.on_batch = [](std::span<const Message> messages, std::span<Context* const>) {
      return std::vector<Result<void>>(messages.size());
    };
  }
  build();
  // So many that they would otherwise be timed in groups.
  std::vector<wire::Deliveries::Part> parts(100, {kNoEdge, {}, "x"});
  std::vector<wire::Deliveries::Item> items(100, {DeliveryId{}, TaskId{0}, 1, 0, 1});
  items[70].traced = true;
  execution.task = TaskId{0};
  execution.traced = true;
  for (std::size_t i = 0; i < items.size(); ++i) {
    execution.deliveries.push_back({&items[i], &parts[i], 0});
  }
  handler.run(execution);
  REQUIRE(execution.outcomes.size() == 100);
  for (std::size_t i = 0; i < items.size(); ++i) {
    CHECK((execution.outcomes[i].handled_us > 0) == (i == 70));
  }
}
