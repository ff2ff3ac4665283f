#include "tempest/builtin/sink_task.hpp"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "recording_context.hpp"
#include "tempest/builtin/task_factory.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace tempest;
using Catch::Matchers::Contains;
using tempest::builtin::SinkTask;
using tempest::test::RecordingContext;
using tempest::test::TemporaryFolder;

namespace {

/// A sink that does as it is told.
struct TestSink : Sink {
  struct State {
    Result<void> next_open;
    Result<void> next_write;
    int opened = 0;
    std::string refused;  ///< Any batch with it.
    std::vector<std::string> written;
  };
  explicit TestSink(State& owner) : state(owner) {}

  Result<void> open() override {
    if (!state.next_open) return std::exchange(state.next_open, {});
    ++state.opened;
    return {};
  }
  Result<void> write(std::span<const Message> messages) override {
    if (!state.next_write) return std::exchange(state.next_write, {});
    for (const Message& message : messages) {
      if (message.payload == state.refused) return Error{ErrorCode::io, "broken pipe", {}};
    }
    for (const Message& message : messages) state.written.emplace_back(message.payload);
    return {};
  }

  State& state;
};

struct Fixture {
  std::vector<Result<void>> write(std::vector<Message> messages) {
    std::vector<Context*> contexts(messages.size(), &context);
    return task.handle_batch(messages, contexts);
  }

  TestSink::State sink;
  SinkTask task{std::make_unique<TestSink>(sink)};
  RecordingContext context;
};

}  // namespace

TEST_CASE_METHOD(Fixture, "a sink task is done with a batch that the sink has confirmed") {
  REQUIRE(task.open({}));
  REQUIRE(task.batches());
  const auto outcomes = write({"a", "b"});
  REQUIRE(outcomes.size() == 2);
  CHECK(outcomes[0]);
  CHECK(outcomes[1]);
  CHECK(sink.written == std::vector<std::string>{"a", "b"});
  CHECK(context.payloads.empty());
  CHECK(task.handle("c", context));
  CHECK(sink.written.size() == 3);
}

TEST_CASE_METHOD(Fixture, "of a batch that cannot be written only what the sink refuses fails") {
  REQUIRE(task.open({}));
  sink.refused = "b";
  const auto outcomes = write({"a", "b", "c"});
  REQUIRE(outcomes.size() == 3);
  CHECK(outcomes[0]);
  CHECK(outcomes[2]);
  REQUIRE_FALSE(outcomes[1]);
  CHECK(outcomes[1].error().code == ErrorCode::retry);
  CHECK(outcomes[1].error().retry_after == Duration::zero());
  CHECK_THAT(outcomes[1].error().message, Contains("broken pipe"));
  CHECK(sink.written == std::vector<std::string>{"a", "c"});
}

TEST_CASE_METHOD(Fixture, "a sink that goes away costs no attempts, and is opened again") {
  REQUIRE(task.open({}));
  sink.next_write = Error{ErrorCode::unavailable, "away", {}};
  const auto outcomes = write({"a"});
  REQUIRE_FALSE(outcomes[0]);
  CHECK(outcomes[0].error().retry_after > Duration::zero());
  CHECK(write({"a"})[0]);
  CHECK(sink.opened == 2);
  CHECK(sink.written == std::vector<std::string>{"a"});
}

TEST_CASE_METHOD(Fixture, "a sink that is away at the start does not stop the worker") {
  sink.next_open = Error{ErrorCode::unavailable, "away", {}};
  REQUIRE(task.open({}));
  CHECK(sink.opened == 0);
  CHECK(write({"a"})[0]);
  CHECK(sink.opened == 1);
}

TEST_CASE_METHOD(Fixture, "a sink that is set up wrongly stops the worker") {
  sink.next_open = Error{ErrorCode::configuration, "wrong", {}};
  CHECK_FALSE(task.open({}));
}

TEST_CASE("the task sink writes to the sink that its table describes") {
  const TemporaryFolder folder;
  TaskDefinition definition;
  definition.name = "out";
  definition.uses = "sink";
  definition.config.set("type", {std::string("lines")});
  definition.config.set("path", {folder.path("out.txt")});
  auto task = builtin::create_task(definition, {});
  REQUIRE(task);
  RecordingContext context;
  CHECK((*task)->handle("line", context));
  CHECK(folder.read("out.txt") == "line\n");

  definition.config.set("type", {std::string("line")});
  CHECK_THAT(builtin::create_task(definition, {}).error().message,
             Contains("task \"out\"") && Contains("did you mean \"lines\"?"));
}
