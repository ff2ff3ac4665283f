#include "cli/replay_from_task.hpp"

#include <catch2/catch.hpp>

#include "tests/support/temporary_folder.hpp"

using namespace tempest;
using namespace tempest::cli;
using namespace std::chrono_literals;

namespace {

std::vector<std::string> names_of(const Topology& topology) {
  std::vector<std::string> names;
  for (const TaskDefinition& task : topology.tasks) names.push_back(task.name);
  return names;
}

/// first -> {left, right} -> join
TopologyBuilder diamond() {
  TopologyBuilder builder("diamond");
  builder.source("generator");
  builder.task("first", "identity");
  builder.task("left", "identity").after("first", "l").by_key();
  builder.task("right", "identity").after("first").task_timeout(2s);
  builder.task("join", "identity").after("left").after("right", "named");
  return builder;
}

std::string letter_line(const std::string& kind, const std::string& failing) {
  return R"({"topology":"t","task":"check","kind":")" + kind +
         R"(","failed_at":"x","key":"k","payload":"p","failing_payload":")" + failing + "\"}\n";
}

}  // namespace

TEST_CASE("a topology from a task on has that task as its root, and what comes after it") {
  const auto topology = diamond().build();
  REQUIRE(topology);
  const auto derived = topology_from_task(*topology, "right");
  REQUIRE(derived);
  CHECK(names_of(*derived) == std::vector<std::string>{"right", "join"});
  CHECK(derived->tasks[0].after.empty());
  CHECK(derived->tasks[0].timeout == 2s);
  REQUIRE(derived->tasks[1].after.size() == 1);
  CHECK(derived->tasks[1].after[0].task == "right");
  CHECK(derived->tasks[1].after[0].output == "named");
  CHECK(derived->failure.policy == FailurePolicy::retry);
  CHECK_FALSE(derived->failure.dead_letter);
  CHECK(tasks_beside(*topology, "right") == std::vector<std::string>{"left"});
  CHECK(tasks_beside(*topology, "first").empty());

  const auto whole = topology_from_task(*topology, "first");
  REQUIRE(whole);
  CHECK(names_of(*whole) == names_of(*topology));
  CHECK(whole->tasks[1].grouping == dag::Grouping::key);
  CHECK_FALSE(topology_from_task(*topology, "gone"));
}

TEST_CASE("a task that gathers is only run with all that it gathers") {
  auto builder = diamond();
  builder.gather_all();
  const auto topology = builder.build();
  REQUIRE(topology);
  CHECK(topology_from_task(*topology, "first"));
  const auto refused = topology_from_task(*topology, "left");
  REQUIRE_FALSE(refused);
  CHECK(refused.error().message ==
        "task \"join\" gathers what also comes from \"right\", which would not run again from "
        "\"left\" on; use --from start");
  CHECK_FALSE(topology_from_task(*topology, "join"));
}

TEST_CASE("a way past the failed task counts for what is gathered after it") {
  TopologyBuilder builder("past");
  builder.source("generator");
  builder.task("first", "identity");
  builder.task("check", "identity").after("first");
  builder.task("join", "identity").after("first").after("check").gather_each();
  const auto topology = builder.build();
  REQUIRE(topology);
  CHECK_FALSE(topology_from_task(*topology, "check"));
}

TEST_CASE("a letter goes with the ack of its message, and not before") {
  const test::TemporaryFolder folder;
  const std::string path =
      folder.write("dead", letter_line("error", "one") + letter_line("timeout", "") +
                               letter_line("error", "two"));
  LetterFile file(path);
  REQUIRE(file.open());
  LetterSource source(file, {{}, 0, 0, true});
  REQUIRE(source.open());
  SourceBatch batch;
  while (!batch.ended) REQUIRE(source.poll(10, 0s, batch));
  REQUIRE(batch.size() == 2);
  CHECK(batch.messages()[0].payload == "one");
  CHECK(batch.messages()[1].key == "k");
  CHECK(folder.read("dead").find("one") != std::string::npos);

  const std::vector<SourceToken> tokens = {batch.messages()[0].token};
  REQUIRE(source.ack(tokens));
  REQUIRE(source.ack(tokens));
  CHECK(folder.read("dead").find("one") == std::string::npos);
  CHECK(folder.read("dead").find("two") != std::string::npos);
}
