#include "tempest/builtin/task_factory.hpp"

#include <catch2/catch.hpp>
#include <stdexcept>
#include <string>
#include <vector>

#include "recording_context.hpp"

using namespace tempest;
using Catch::Matchers::Contains;
using tempest::builtin::create_task;
using tempest::runtime::TaskLibraries;
using tempest::test::RecordingContext;
using Payloads = std::vector<std::string>;

namespace {

struct Picky : Task {
  Result<void> open(const Settings& config) override {
    if (config.has("throw")) throw std::runtime_error("thrown");
    if (!config.has("greeting")) return Error{ErrorCode::configuration, "needs a greeting"};
    return {};
  }
  Result<void> handle(const Message& /*message*/, Context& /*context*/) override { return {}; }
};

Settings settings(const std::vector<std::pair<std::string, Settings::Value>>& values) {
  Settings result;
  for (const auto& [key, value] : values) result.set(key, value);
  return result;
}

Result<std::unique_ptr<Task>> create(const std::string& uses, Settings config = {},
                                     const TaskLibraries& libraries = {}) {
  TaskDefinition definition;
  definition.name = "mine";
  definition.uses = uses;
  definition.config = std::move(config);
  return create_task(definition, libraries);
}

Settings::Value text(std::string value) {
  return {std::move(value)};
}
Settings::Value whole(std::int64_t value) {
  return {value};
}

}  // namespace

TEMPEST_TASKS(test, Picky)

TEST_CASE("identity hands a message on with its key") {
  auto task = create("identity");
  REQUIRE(task);
  RecordingContext context;
  REQUIRE((*task)->handle({"payload", "key"}, context));
  CHECK(context.payloads == Payloads{"payload"});
  CHECK(context.keys == Payloads{"key"});
}

TEST_CASE("drop ends a message") {
  auto task = create("drop");
  REQUIRE(task);
  RecordingContext context;
  REQUIRE((*task)->handle("payload", context));
  CHECK(context.payloads.empty());
}

TEST_CASE("sleep waits for its time and hands the message on") {
  auto task = create("sleep", settings({{"time", text("20ms")}}));
  REQUIRE(task);
  RecordingContext context;
  const auto begin = std::chrono::steady_clock::now();
  REQUIRE((*task)->handle("payload", context));
  CHECK(std::chrono::steady_clock::now() - begin >= std::chrono::milliseconds(20));
  CHECK(context.payloads == Payloads{"payload"});
}

TEST_CASE("fail fails every Nth message that matches and hands the others on") {
  auto task = create("fail", settings({{"every", whole(2)}, {"match", text("x")}}));
  REQUIRE(task);
  RecordingContext context;
  CHECK((*task)->handle("x1", context));
  CHECK((*task)->handle("y1", context));
  const auto failed = (*task)->handle("x2", context);
  REQUIRE_FALSE(failed);
  CHECK(failed.error().code == ErrorCode::retry);
  CHECK((*task)->handle("y2", context));
  CHECK((*task)->handle("x3", context));
  CHECK_FALSE((*task)->handle("x4", context));
  CHECK(context.payloads == Payloads{"x1", "y1", "y2", "x3"});
}

TEST_CASE("fail with times lets later attempts through") {
  auto task = create("fail", settings({{"times", whole(2)}}));
  REQUIRE(task);
  RecordingContext context;
  for (const std::uint32_t attempt : {1U, 2U}) {
    context.attempt_number = attempt;
    CHECK_FALSE((*task)->handle("payload", context));
  }
  context.attempt_number = 3;
  CHECK((*task)->handle("payload", context));
}

TEST_CASE("fail fails for good, or throws, when told to") {
  RecordingContext context;
  auto fail = create("fail", settings({{"kind", text("fail")}}));
  REQUIRE(fail);
  CHECK((*fail)->handle("payload", context).error().code == ErrorCode::fail);
  auto exception = create("fail", settings({{"kind", text("throw")}}));
  REQUIRE(exception);
  CHECK_THROWS_AS((*exception)->handle("payload", context), std::runtime_error);
}

TEST_CASE("a built-in's wrong settings are configuration errors") {
  CHECK_THAT(create("fail", settings({{"kind", text("retyr")}})).error().message,
             Contains("task \"mine\"") && Contains("did you mean \"retry\"?"));
  CHECK(create("fail", settings({{"every", whole(0)}})).error().code == ErrorCode::configuration);
  CHECK(create("fail", settings({{"times", whole(-1)}})).error().code == ErrorCode::configuration);
  CHECK(create("sleep", settings({{"time", text("-1s")}})).ok());  // Not a duration: no time.
}

TEST_CASE("an unknown built-in is reported with the nearest name") {
  const auto task = create("identiy");
  REQUIRE_FALSE(task);
  CHECK(task.error().code == ErrorCode::configuration);
  CHECK_THAT(task.error().message, Contains("did you mean \"identity\"?") && Contains("sink"));
}

TEST_CASE("a library's task is made and opened with its config") {
  TaskLibraries libraries;
  REQUIRE(libraries.add(tempest_library_test()));
  CHECK(create("test:Picky", settings({{"greeting", text("hi")}}), libraries));
  CHECK_THAT(create("test:Picky", {}, libraries).error().message,
             Contains("task \"mine\": needs a greeting"));
  CHECK_THAT(create("test:Picky", settings({{"throw", text("")}}), libraries).error().message,
             Contains("task \"mine\": open() threw: thrown"));
  CHECK_THAT(create("test:Pick", {}, libraries).error().message,
             Contains("did you mean \"test:Picky\"?"));
}
