#include <algorithm>
#include <catch2/catch.hpp>

#include "pipeline_world.hpp"

using namespace tempest;
using namespace tempest::pipeline_node;
using namespace std::chrono_literals;

namespace {

const std::string kOneTask = "[[task]]\nname = \"a\"\nuses = \"identity\"\n";
const std::string kTwoTasks =
    kOneTask + "[[task]]\nname = \"b\"\nuses = \"identity\"\nafter = [\"a\"]\n";

std::vector<std::string> numbered(int count) {
  std::vector<std::string> payloads;
  for (int i = 0; i < count; ++i) payloads.push_back("m" + std::to_string(i));
  return payloads;
}

}  // namespace

TEST_CASE("a message is acked to its source when its only delivery is done") {
  World world(kOneTask);
  Peer& source = world.add_source("source");
  Peer& worker = world.add_worker("worker");
  REQUIRE(source.window);
  CHECK(source.window->messages > 0);
  world.send(source, {"hello"});
  REQUIRE(worker.deliveries.size() == 1);
  CHECK(worker.deliveries[0].payloads == std::vector<std::string>{"hello"});
  CHECK(source.acked.empty());
  world.finish_all(worker);
  CHECK(source.acked == std::vector<MessageId>{{0, 1}});
  CHECK(world.machine->tracker().trees_in_flight() == 0);
}

TEST_CASE("a message is acked only after what its task emitted is done as well") {
  World world(kTwoTasks);
  Peer& source = world.add_source("source");
  Peer& worker = world.add_worker("worker");
  world.send(source, {"m"});
  world.finish_all(worker, {"x", "y"});
  CHECK(source.acked.empty());
  REQUIRE(worker.deliveries.size() == 2);
  CHECK(worker.deliveries[0].task == TaskId{1});
  world.finish_all(worker);
  CHECK(source.acked.size() == 1);
}

TEST_CASE("many messages go to a worker in few frames, and as many acks come back") {
  World world(kOneTask);
  Peer& source = world.add_source("source");
  Peer& worker = world.add_worker("worker", 10'000);
  world.send(source, numbered(5000));
  CHECK(worker.deliveries.size() == 5000);
  CHECK(worker.delivery_frames <= 3);
  world.finish_all(worker);
  CHECK(source.acked.size() == 5000);
}

TEST_CASE("a worker never has more out than its window, and a new window counts at once") {
  World world(kOneTask);
  Peer& source = world.add_source("source");
  Peer& worker = world.add_worker("worker", 10);
  world.send(source, numbered(100));
  CHECK(worker.deliveries.size() == 10);
  world.finish_all(worker);
  CHECK(worker.deliveries.size() == 10);
  worker.send(wire::Window{25, 1 << 20}, world.now);
  world.run();
  CHECK(worker.deliveries.size() == 25);
  worker.send(wire::Window{0, 0}, world.now);
  world.run();
  world.finish_all(worker);
  CHECK(worker.deliveries.empty());
}

TEST_CASE("the deliveries of a worker that is killed go to another, under new ids") {
  World world(kOneTask);
  Peer& source = world.add_source("source");
  Peer& dying = world.add_worker("dying");
  world.send(source, numbered(3));
  REQUIRE(dying.deliveries.size() == 3);
  const DeliveryId old = dying.deliveries[0].id;
  dying.silent = true;
  Peer& other = world.add_worker("other");
  CHECK(other.deliveries.empty());
  world.pass(4s);
  REQUIRE(other.deliveries.size() == 3);
  CHECK(other.deliveries[0].payloads == std::vector<std::string>{"m0"});
  CHECK(other.deliveries[0].id != old);
  CHECK(other.deliveries[0].attempt == 1);
  world.finish_all(other);
  CHECK(source.acked.size() == 3);
}

TEST_CASE("a worker that was taken for dead and answers late changes nothing") {
  World world(kOneTask);
  Peer& source = world.add_source("source");
  Peer& late = world.add_worker("late");
  world.send(source, {"m"});
  REQUIRE(late.deliveries.size() == 1);
  const auto delivery = late.deliveries[0];
  late.silent = true;
  Peer& other = world.add_worker("other");
  world.pass(4s);
  REQUIRE(other.deliveries.size() == 1);
  late.silent = false;
  world.pass(1s);
  CHECK(late.ups == 2);
  late.send(wire::Attach{world.topology.version, {TaskId{0}}, 10, 1 << 20}, world.now);
  world.answer(late, delivery.id, wire::Results::Status::done);
  CHECK(source.acked.empty());
  CHECK(world.machine->tracker().stale_results() == 1);
  world.finish_all(other);
  CHECK(source.acked.size() == 1);
}

TEST_CASE("a worker that says goodbye gives back what it has at once") {
  World world(kOneTask);
  Peer& source = world.add_source("source");
  Peer& leaving = world.add_worker("leaving");
  world.send(source, numbered(2));
  Peer& other = world.add_worker("other");
  leaving.leave(world.now);
  world.run();
  CHECK(other.deliveries.size() == 2);
}

TEST_CASE("what a worker returns unstarted goes out again with the same attempt") {
  World world(kOneTask);
  Peer& source = world.add_source("source");
  Peer& worker = world.add_worker("worker");
  world.send(source, {"m"});
  const auto first = worker.deliveries[0];
  worker.deliveries.clear();
  world.answer(worker, first.id, wire::Results::Status::returned);
  REQUIRE(worker.deliveries.size() == 1);
  CHECK(worker.deliveries[0].attempt == 1);
  CHECK(worker.deliveries[0].id != first.id);
}

TEST_CASE(
    "a failing delivery is tried max_attempts times and then reported with all that is known") {
  World world(kTwoTasks +
              "[failure]\nmax_attempts = 3\nbackoff = { initial = \"10ms\", max = \"10ms\" }\n");
  Peer& source = world.add_source("source");
  Peer& worker = world.add_worker("worker");
  world.send(source, {"m"});
  world.finish_all(worker, {"derived"});
  for (std::uint32_t attempt = 1; attempt <= 3; ++attempt) {
    REQUIRE(worker.deliveries.size() == 1);
    CHECK(worker.deliveries[0].attempt == attempt);
    const DeliveryId id = worker.deliveries[0].id;
    worker.deliveries.clear();
    CHECK(source.failed.empty());
    world.answer(worker, id, wire::Results::Status::retry, "no disk");
    world.pass(20ms);
  }
  REQUIRE(source.failed.size() == 1);
  CHECK(source.failed[0].kind == wire::FailureKind::error);
  CHECK(source.failed[0].task == "b");
  CHECK(source.failed[0].attempts == 3);
  CHECK(source.failed[0].worker == "worker");
  CHECK(source.failed[0].reason == "no disk");
  CHECK(source.failed[0].payload == "derived");
  CHECK(source.acked.empty());
}

TEST_CASE("errors of attempts are told, the last of them before the coordinator ends") {
  World world(kTwoTasks +
              "[failure]\nmax_attempts = 3\nbackoff = { initial = \"10ms\", max = \"10ms\" }\n");
  Peer& source = world.add_source("source");
  Peer& worker = world.add_worker("worker");
  world.send(source, {"m"});
  for (int attempt = 1; attempt <= 3; ++attempt) {
    REQUIRE(worker.deliveries.size() == 1);
    const DeliveryId id = worker.deliveries[0].id;
    worker.deliveries.clear();
    world.answer(worker, id, wire::Results::Status::retry, "no disk");
    world.pass(20ms);
  }
  REQUIRE(source.failed.size() == 1);
  std::vector<std::string> told;
  const auto collect = [&] {
    for (const link::Notice& notice : std::exchange(world.effects.notices, {})) {
      if (notice.level == link::Notice::Level::info &&
          notice.text.find("no disk") != notice.text.npos)
        told.push_back(notice.text + " (" + notice.fields.back().value + ")");
    }
  };
  collect();
  CHECK(told == std::vector<std::string>{"an attempt failed: no disk (1)"});
  world.machine->stop(true, world.now, world.effects);
  collect();
  CHECK(told.size() == 2);
  CHECK(told.back() == "more attempts failed; the last: no disk (2)");
}

TEST_CASE("a message waits for as long as it must, and a call that takes too long names its task") {
  World world(kOneTask + "[failure]\ntimeout = \"1s\"\n");
  Peer& source = world.add_source("source");
  Peer& worker = world.add_worker("worker");
  world.send(source, {"m"});
  world.pass(20s);
  CHECK(source.failed.empty());
  REQUIRE(worker.deliveries.size() == 1);
  world.answer(worker, worker.deliveries[0].id, wire::Results::Status::tree_timed_out,
               "the call has not ended within 1s");
  world.pass(100ms);
  REQUIRE(source.failed.size() == 1);
  CHECK(source.failed[0].kind == wire::FailureKind::timeout);
  CHECK(source.failed[0].task == "a");
  CHECK(source.failed[0].worker == "worker");
  CHECK(world.machine->tracker().trees_in_flight() == 0);
}

TEST_CASE(
    "what is away is said once with its cause, shown while it is away, and said when it is back") {
  World world(kOneTask + "[failure]\npolicy = \"best_effort\"\ntimeout = \"1s\"\n");
  Peer& source = world.add_source("source");
  Peer& worker = world.add_worker("worker");
  const auto said = [&](std::string_view words) {
    return std::count_if(world.effects.notices.begin(), world.effects.notices.end(),
                         [&](const auto& notice) { return notice.text.starts_with(words); });
  };
  world.send(source, {"m", "n"});
  for (int i = 0; i < 30; ++i) {
    for (const auto& delivery : std::exchange(worker.deliveries, {})) {
      world.answer(worker, delivery.id, wire::Results::Status::unavailable,
                   "sink: connection refused");
    }
    world.pass(1s);
  }
  CHECK(said("task 'a' cannot reach what it needs") == 1);
  CHECK(said("stalled: task 'a' cannot reach what it needs at worker worker: sink: connection") ==
        1);
  CHECK(said("no longer stalled") == 0);
  CHECK(world.machine->state().starts_with("stalled: task 'a' cannot reach what it needs"));
  CHECK(source.failed.empty());
  CHECK(source.acked.empty());
  while (source.acked.size() < 2) {
    world.finish_all(worker);
    world.pass(1s);
  }
  world.pass(2s);
  CHECK(said("task 'a' reaches what it needs again, after") == 1);
  CHECK(world.machine->state() == "running");
}

TEST_CASE("a source that is lost takes its trees with it, and its successor starts afresh") {
  World world(kOneTask);
  Peer& source = world.add_source("source");
  Peer& worker = world.add_worker("worker");
  world.send(source, {"m"});
  source.silent = true;
  Peer& successor = world.add_source("source", 2);
  CHECK(world.machine->tracker().trees_in_flight() == 0);
  world.send(successor, {"m"});
  REQUIRE(worker.deliveries.size() == 2);
  world.finish_all(worker);
  CHECK(successor.acked.size() == 1);
  CHECK(source.acked.empty());
  CHECK(world.machine->tracker().stale_results() == 1);
}

TEST_CASE("the successor of a source is not told what became of its predecessor's messages") {
  World world(kOneTask);
  Peer& source = world.add_source("source");
  Peer& worker = world.add_worker("worker");
  world.send(source, {"m"});
  REQUIRE(worker.deliveries.size() == 1);
  // The result and the successor's HELLO come in one step, in this order.
  wire::Results results;
  results.items.push_back({worker.deliveries[0].id, wire::Results::Status::done, {}, 0, 0, 0});
  worker.send(results, world.now);
  source.silent = true;
  Peer& successor = world.add_source("source", 2);
  CHECK(world.machine->tracker().trees_completed() == 1);
  CHECK(successor.acked.empty());
}

TEST_CASE("acks go to the source that sent the message") {
  World world(kOneTask);
  Peer& left = world.add_source("left");
  Peer& right = world.add_source("right");
  Peer& worker = world.add_worker("worker");
  world.send(left, numbered(2));
  world.send(right, numbered(3));
  world.finish_all(worker);
  CHECK(left.acked.size() == 2);
  CHECK(right.acked.size() == 3);
}

TEST_CASE("a source gets no credit before enough workers are there") {
  // Without a broker there is no directory, so the number that counts is never reached here.
  PipelineSettings settings;
  settings.min_workers = 2;
  World world(kOneTask, settings);
  Peer& source = world.add_source("source");
  REQUIRE(source.window);
  CHECK(source.window->messages == 0);
  world.add_worker("one");
  CHECK(source.window->messages == 0);
}

TEST_CASE("a coordinator that drains takes nothing more, finishes what it has and says goodbye") {
  World world(kOneTask);
  Peer& source = world.add_source("source");
  Peer& worker = world.add_worker("worker");
  world.send(source, {"in time"});
  world.machine->stop(false, world.now, world.effects);
  world.run();
  CHECK(source.window->messages == 0);
  world.send(source, {"too late"});
  CHECK(source.returned == std::vector<MessageId>{{1, 1}});
  CHECK_FALSE(world.effects.finished);
  world.finish_all(worker);
  world.pass(100ms);
  CHECK(source.acked == std::vector<MessageId>{{0, 1}});
  CHECK(world.effects.finished);
  CHECK_FALSE(source.is_up());
}

TEST_CASE("a coordinator whose workers do not finish ends after its drain timeout") {
  PipelineSettings settings;
  settings.drain_timeout = 2s;
  World world(kOneTask, settings);
  Peer& source = world.add_source("source");
  world.add_worker("worker");
  world.send(source, {"m"});
  world.machine->stop(false, world.now, world.effects);
  world.pass(1900ms);
  CHECK_FALSE(world.effects.finished);
  world.pass(200ms);
  CHECK(world.effects.finished);
  CHECK(source.acked.empty());
}

TEST_CASE("a body that cannot be read, or is not for it, ends the session that it came in") {
  World world(kOneTask);
  Peer& source = world.add_source("source");
  Peer& worker = world.add_worker("worker");
  world.send(source, {"m"});
  REQUIRE(worker.deliveries.size() == 1);
  const auto kind =
      GENERATE(wire::BodyKind::attach, wire::BodyKind::window, wire::BodyKind::messages,
               wire::BodyKind::results, wire::BodyKind::deliveries, wire::BodyKind::directory);
  worker.send_garbage(kind, world.now);
  world.run();
  CHECK(worker.ups == 1);
  world.pass(200ms);
  CHECK(worker.ups == 2);
  // With the session its work went back: to whoever comes next.
  Peer& other = world.add_worker("other");
  REQUIRE(other.deliveries.size() == 1);
  source.send_garbage(kind, world.now);
  world.pass(200ms);
  CHECK(source.ups == 2);
  world.finish_all(other);
  CHECK(source.acked.empty());  // Its tree went with the source's session.
  CHECK(world.machine->delivery_count() == 0);
  CHECK(world.number("tempest_malformed_bodies_total") == 2);
}

TEST_CASE("a result with an output for an edge that there is not ends its session, unheeded") {
  World world(kOneTask);
  Peer& source = world.add_source("source");
  Peer& worker = world.add_worker("worker");
  world.send(source, {"m"});
  REQUIRE(worker.deliveries.size() == 1);
  wire::Results results;
  results.items.push_back({worker.deliveries[0].id, wire::Results::Status::done, {}, 0, 0, 1});
  results.outputs.push_back({{}, {}, "lost?", EdgeId{7}});
  worker.send(results, world.now);
  world.run();
  CHECK(source.acked.empty());
  CHECK(world.number("tempest_malformed_bodies_total") == 1);
  Peer& other = world.add_worker("other");
  REQUIRE(other.deliveries.size() == 1);
  world.finish_all(other);
  CHECK(source.acked.size() == 1);
}

TEST_CASE("messages from a worker, and results from a source, count for nothing") {
  World world(kOneTask);
  Peer& source = world.add_source("source");
  Peer& other_source = world.add_source("other source");
  Peer& worker = world.add_worker("worker");
  Peer& other_worker = world.add_worker("other worker");
  world.send(source, {"m"});
  Peer& holder = worker.deliveries.empty() ? other_worker : worker;
  Peer& stranger = worker.deliveries.empty() ? worker : other_worker;
  wire::Messages stray;
  stray.items.push_back({MessageId{9, 9}, {}, "from a worker"});
  stranger.send(stray, world.now);
  wire::Results forged;
  forged.items.push_back({holder.deliveries[0].id, wire::Results::Status::done, {}, 0, 0, 0});
  other_source.send(forged, world.now);
  world.run();
  CHECK(source.acked.empty());
  CHECK(holder.deliveries.size() == 1);
  CHECK(world.number("tempest_malformed_bodies_total") == 2);
  world.finish_all(holder);
  CHECK(source.acked.size() == 1);
}

TEST_CASE("a worker that dies of what it has started uses up an attempt of just that") {
  World world(kOneTask);
  Peer& source = world.add_source("source");
  for (std::uint64_t life = 1; life <= 2; ++life) {
    Peer& worker = world.add_worker("worker", 1000, {}, life);
    if (life == 1) world.send(source, {"poison", "m"});
    REQUIRE(worker.deliveries.size() == 2);
    CHECK_FALSE(worker.deliveries[0].alone);
    worker.silent = true;
    world.pass(4s);
  }
  Peer& third = world.add_worker("worker", 1000, {}, 3);
  REQUIRE(third.deliveries.size() == 2);
  REQUIRE(third.deliveries[0].alone);
  world.answer(third, third.deliveries[0].id, wire::Results::Status::started);
  // Confirmed at once, and not only with what goes out next: the worker waits for it.
  CHECK(third.all_confirmed());
  third.silent = true;
  world.pass(4s);
  Peer& fourth = world.add_worker("worker", 1000, {}, 4);
  REQUIRE(fourth.deliveries.size() == 2);
  CHECK(fourth.deliveries[0].payloads[0] == "m");
  CHECK(fourth.deliveries[0].attempt == 1);
  CHECK(fourth.deliveries[1].payloads[0] == "poison");
  CHECK(fourth.deliveries[1].attempt == 2);
}

TEST_CASE("a worker of another topology version gets no work") {
  World world(kOneTask);
  Peer& source = world.add_source("source");
  Peer& worker = world.add_worker("worker");
  worker.leave(world.now);
  world.peers.push_back(std::make_unique<Peer>(Role::task, "old"));
  Peer& old = *world.peers.back();
  world.run();
  old.send(wire::Attach{"0000000000000000", {TaskId{0}}, 10, 1 << 20}, world.now);
  world.run();
  world.send(source, {"m"});
  CHECK(old.deliveries.empty());
}

TEST_CASE("messages that nobody serves make a stall with its cause, said once and taken back") {
  World world(kOneTask);
  Peer& source = world.add_source("source");
  world.send(source, {"m"});
  const auto notices = [&](const std::string& text) {
    return std::count_if(world.effects.notices.begin(), world.effects.notices.end(),
                         [&](const auto& notice) { return notice.text == text; });
  };
  world.pass(9s);
  CHECK(notices("stalled: no worker serves task 'a'") == 0);
  world.pass(5s);
  CHECK(notices("stalled: no worker serves task 'a'") == 1);
  Peer& worker = world.add_worker("worker");
  world.finish_all(worker);
  CHECK(notices("no longer stalled") == 1);
  CHECK(source.acked.size() == 1);
}

TEST_CASE("workers that hang make a stall that names their task") {
  World world(kTwoTasks);
  Peer& source = world.add_source("source");
  Peer& worker = world.add_worker("worker");
  world.send(source, {"m"});
  world.finish_all(worker, {"x"});
  world.pass(11s);
  CHECK(std::any_of(world.effects.notices.begin(), world.effects.notices.end(),
                    [](const auto& notice) {
                      return notice.text == "stalled: the workers of task 'b' do not answer";
                    }));
}

TEST_CASE("a payload of several hundred kilobytes arrives as it was sent") {
  World world(kTwoTasks);
  Peer& source = world.add_source("source");
  Peer& worker = world.add_worker("worker");
  std::string large(300'000, 'x');
  for (std::size_t i = 0; i < large.size(); ++i) large[i] = static_cast<char>(i * 31);
  world.send(source, {large});
  REQUIRE(worker.deliveries.size() == 1);
  CHECK(worker.deliveries[0].payloads[0] == large);
  world.finish_all(worker, {large});
  REQUIRE(worker.deliveries.size() == 1);
  CHECK(worker.deliveries[0].payloads[0] == large);
}
