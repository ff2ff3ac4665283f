#include "task_node/handler_pool.hpp"

#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <set>
#include <thread>

using namespace tempest;
using namespace tempest::task_node;
using Status = wire::Results::Status;
using std::chrono::seconds;

namespace {

/// Counts the wake-ups, and lets a test wait for the next.
class Bell {
 public:
  void ring() {
    const std::lock_guard lock(mutex_);
    ++rung_;
    rings_.notify_all();
  }
  bool wait() {
    std::unique_lock lock(mutex_);
    const bool heard = rings_.wait_for(lock, seconds(10), [this] { return rung_ > heard_; });
    heard_ = rung_;
    return heard;
  }

 private:
  std::mutex mutex_;
  std::condition_variable rings_;
  int rung_ = 0;
  int heard_ = 0;
};

/// Holds a task until a test opens it.
class Gate {
 public:
  void pass() {
    std::unique_lock lock(mutex_);
    ++inside;
    changed_.notify_all();
    changed_.wait(lock, [this] { return open_; });
  }
  void open() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }
  bool wait_for_inside(int count) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, seconds(10), [&] { return inside >= count; });
  }
  int inside = 0;

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = false;
};

struct PoolTask : Task {
  std::function<Result<void>(const Message&, Context&)> on_handle;
  Result<void> handle(const Message& message, Context& context) override {
    return on_handle(message, context);
  }
};

class Pool {
 public:
  explicit Pool(std::size_t threads) : pool(threads, [this] { bell.ring(); }) {}

  Bell bell;
  std::function<Result<void>(const Message&, Context&)> on_handle = [](const Message&, Context&) {
    return Result<void>();
  };
  std::atomic<int> instances = 0;
  std::atomic<bool> one_fails = false;

  BuildAnswer build() {
    auto plan = std::make_shared<Plan>();
    plan->version = "v1";
    plan->topology.tasks.resize(1);
    plan->topology.tasks[0].name = "first";
    plan->topology.tasks[0].timeout = timeout;
    std::vector<dag::Fault> faults;
    plan->topology.graph =
        dag::Graph::build({{"first"}, {"second"}}, {{"first", "second", ""}}, faults);
    plan->tasks = {TaskId{0}};
    plan->create = [this](const TaskDefinition&) -> Result<std::unique_ptr<Task>> {
      if (++instances == 2 && one_fails) return Error{ErrorCode::configuration, "the second"};
      auto task = std::make_unique<PoolTask>();
      task->on_handle = on_handle;
      return std::unique_ptr<Task>(std::move(task));
    };
    pool.build(plan);
    while (answers.empty() && bell.wait()) collect();
    REQUIRE(answers.size() == 1);
    auto answer = std::move(answers.front());
    answers.clear();
    return answer;
  }

  void execute(std::size_t thread, std::size_t count, std::string_view payload = "x") {
    parts.push_back(
        std::make_unique<wire::Deliveries::Part>(wire::Deliveries::Part{kNoEdge, {}, payload}));
    auto execution = std::make_unique<Execution>();
    execution->thread = thread;
    execution->task = TaskId{0};
    for (std::size_t i = 0; i < count; ++i) {
      execution->deliveries.push_back({&item, parts.back().get(), 0});
    }
    pool.execute(std::move(execution));
  }

  bool wait_for_finished(std::size_t count) {
    collect();
    while (finished.size() < count && bell.wait()) collect();
    return finished.size() == count;
  }

  bool wait_for_extensions(std::size_t count) {
    collect();
    while (extensions.size() < count && bell.wait()) collect();
    return extensions.size() == count;
  }

  void collect() { pool.collect(finished, answers, extensions); }

  const wire::Deliveries::Item item{DeliveryId{5, 1}, TaskId{0}, 1, 0, 1};
  std::vector<std::unique_ptr<wire::Deliveries::Part>> parts;
  std::vector<std::unique_ptr<Execution>> finished;
  std::vector<BuildAnswer> answers;
  std::vector<Extension> extensions;
  Duration timeout{};
  HandlerPool pool;  ///< Last: its threads use the rest.
};

}  // namespace

TEST_CASE("every thread makes an instance, and the answer comes once") {
  Pool pool(4);
  const BuildAnswer answer = pool.build();
  CHECK(answer.version == "v1");
  CHECK_FALSE(answer.error);
  REQUIRE(answer.tasks.size() == 1);
  CHECK(answer.tasks[0].name == "first");
  CHECK(pool.instances == 4);
}

TEST_CASE("one instance that cannot be made fails the whole build") {
  Pool pool(4);
  pool.one_fails = true;
  const BuildAnswer answer = pool.build();
  REQUIRE(answer.error);
  CHECK(answer.error->message == "the second");
}

TEST_CASE("threads handle what they are given, each its own, all at once") {
  Pool pool(3);
  Gate gate;
  std::mutex mutex;
  std::set<std::thread::id> threads;
  pool.on_handle = [&](const Message& message, Context& context) -> Result<void> {
    {
      const std::lock_guard lock(mutex);
      threads.insert(std::this_thread::get_id());
    }
    gate.pass();
    context.emit(message);
    return {};
  };
  REQUIRE_FALSE(pool.build().error);
  for (std::size_t thread = 0; thread < 3; ++thread) pool.execute(thread, 1, "payload");
  CHECK(gate.wait_for_inside(3));
  gate.open();
  for (std::size_t thread = 0; thread < 3; ++thread) pool.execute(thread, 10);
  REQUIRE(pool.wait_for_finished(6));
  CHECK(threads.size() == 3);
  std::size_t outputs = 0;
  for (const auto& execution : pool.finished) {
    CHECK(execution->outcomes.size() == execution->deliveries.size());
    outputs += execution->outputs.size();
  }
  CHECK(outputs == 33);
}

TEST_CASE("a task that throws takes neither its thread nor the next batch with it") {
  Pool pool(1);
  pool.on_handle = [](const Message& message, Context&) -> Result<void> {
    if (message.payload == "int") throw 7;
    return {};
  };
  REQUIRE_FALSE(pool.build().error);
  pool.execute(0, 2, "int");
  pool.execute(0, 2, "fine");
  REQUIRE(pool.wait_for_finished(2));
  CHECK(pool.finished[0]->outcomes[1].status == Status::retry);
  CHECK(pool.finished[1]->outcomes[1].status == Status::done);
}

TEST_CASE("a stop does not wait for a task longer than it may") {
  Pool pool(2);
  Gate gate;
  pool.on_handle = [&](const Message&, Context&) -> Result<void> {
    gate.pass();
    return {};
  };
  REQUIRE_FALSE(pool.build().error);
  pool.execute(0, 1);
  REQUIRE(gate.wait_for_inside(1));
  CHECK_FALSE(pool.pool.stop(std::chrono::milliseconds(20)));
  gate.open();
  CHECK(pool.pool.stop(seconds(10)));
}

TEST_CASE("what a task asks for while it runs is heard while it runs") {
  Pool pool(1);
  Gate gate;
  pool.on_handle = [&](const Message&, Context& context) -> Result<void> {
    context.extend(seconds(30));
    context.extend(seconds(20));
    gate.pass();
    return {};
  };
  SECTION("where it has a timeout, the longest at a time") {
    pool.timeout = seconds(1);
    REQUIRE_FALSE(pool.build().error);
    pool.execute(0, 1);
    REQUIRE(gate.wait_for_inside(1));
    REQUIRE(pool.wait_for_extensions(1));
    CHECK(pool.extensions[0].id == DeliveryId{5, 1});
    CHECK(pool.extensions[0].time == seconds(30));
    CHECK(pool.finished.empty());
    gate.open();
    REQUIRE(pool.wait_for_finished(1));
  }
  SECTION("where it has none there is nothing to say") {
    REQUIRE_FALSE(pool.build().error);
    pool.execute(0, 1);
    gate.open();
    REQUIRE(pool.wait_for_finished(1));
    CHECK(pool.extensions.empty());
  }
}

TEST_CASE("another thread takes the place of one that hangs, with instances of its own") {
  Pool pool(1);
  Gate gate;
  pool.on_handle = [&](const Message& message, Context&) -> Result<void> {
    if (message.payload == "hang") gate.pass();
    return {};
  };
  REQUIRE_FALSE(pool.build().error);
  CHECK(pool.instances == 1);
  pool.execute(0, 1, "hang");
  REQUIRE(gate.wait_for_inside(1));
  pool.execute(0, 1, "behind");
  pool.pool.replace(0);
  while (pool.answers.empty() && pool.bell.wait()) pool.collect();
  REQUIRE(pool.answers.size() == 1);
  CHECK(pool.answers[0].is_replacement);
  CHECK_FALSE(pool.answers[0].error);
  CHECK(pool.instances == 2);
  pool.execute(0, 1, "next");
  REQUIRE(pool.wait_for_finished(1));
  CHECK(pool.finished[0]->deliveries[0].parts->payload == "next");

  // While the old one hangs, a stop ends the others and says that one is left.
  CHECK_FALSE(pool.pool.stop(seconds(10)));
  gate.open();
  // What it was at comes back, and what was queued behind that.
  REQUIRE(pool.wait_for_finished(3));
  CHECK(pool.finished[1]->deliveries[0].parts->payload == "hang");
  CHECK(pool.finished[2]->deliveries[0].parts->payload == "behind");
}
