#include <catch2/catch.hpp>
#include <string>

#include "tempest/runtime/topology_text.hpp"
#include "tempest/topology.hpp"

using namespace tempest;
using namespace std::chrono_literals;

namespace {

Settings lines(const std::string& path) {
  Settings settings;
  settings.set("path", {path});
  return settings;
}

Settings null_sink() {
  Settings settings;
  settings.set("type", {std::string("null")});
  return settings;
}

Topology built(const TopologyBuilder& builder) {
  auto topology = builder.build();
  INFO((topology ? "" : topology.error().message));
  REQUIRE(topology);
  return std::move(*topology);
}

}  // namespace

TEST_CASE("a builder's topology is what its file would be") {
  Settings config;
  config.set("odd key", {std::string("tab\t\"quote\" back\\slash \x7f")});
  config.set("whole", {2.0});
  config.set("small", {1e-300});
  config.set("list", {Settings::List{{std::int64_t{-1}}, {true}}});
  FailureDefinition failure;
  failure.policy = FailurePolicy::none;
  failure.timeout = 1500ms;
  failure.max_attempts = 2;
  failure.backoff.initial = 1ns;
  failure.backoff.factor = 1;
  failure.dead_letter = Endpoint{"lines", lines("dead.txt")};
  const Topology topology = built(TopologyBuilder("diamond")
                                      .library("liba.so")
                                      .source("lines", lines("in \\ \"put\".txt"))
                                      .task("top", "a:Top", config)
                                      .task("left", "identity")
                                      .after("top")
                                      .by_key()
                                      .task("right", "identity")
                                      .after("top", "late")
                                      .task_timeout(2s)
                                      .task("end", "sink", null_sink())
                                      .after("left")
                                      .after("right")
                                      .gather_each()
                                      .failure(failure));
  CHECK(topology.name == "diamond");
  CHECK(topology.source.endpoint.settings.text("path") == "in \\ \"put\".txt");
  REQUIRE(topology.tasks.size() == 4);
  const Settings& read = topology.tasks[0].config;
  CHECK(read.text("odd key") == config.text("odd key"));
  CHECK(std::get<double>(read.values().at("whole").data) == 2.0);
  CHECK(read.number("small") == 1e-300);
  CHECK(std::get<std::int64_t>(read.list("list").at(0).data) == -1);
  CHECK(topology.tasks[1].grouping == dag::Grouping::key);
  CHECK(topology.tasks[2].after.at(0).output == "late");
  CHECK(topology.tasks[2].timeout == 2s);
  CHECK(topology.tasks[3].config.text("type") == "null");
  CHECK(topology.tasks[3].gather == dag::Gather::each);
  CHECK(topology.graph.edge_count() == 4);
  CHECK(topology.failure.policy == FailurePolicy::none);
  CHECK(topology.failure.timeout == 1500ms);
  CHECK(topology.failure.backoff.initial == 1ns);
  CHECK(topology.failure.dead_letter->settings.text("path") == "dead.txt");
  CHECK_FALSE(topology.text.empty());
}

TEST_CASE("a builder's faults are those of its file, all at once") {
  const auto topology = TopologyBuilder("x y")
                            .source("lins")
                            .task("a", "identty")
                            .task("b", "drop")
                            .after("c")
                            .to_all()
                            .build();
  REQUIRE_FALSE(topology);
  CHECK(topology.error().code == ErrorCode::configuration);
  const std::string& message = topology.error().message;
  CHECK_THAT(message, Catch::Contains("\"x y\" is no name"));
  CHECK_THAT(message, Catch::Contains("did you mean \"lines\"?"));
  CHECK_THAT(message, Catch::Contains("did you mean \"identity\"?"));
  CHECK_THAT(message, Catch::Contains("unknown task 'c' in 'after' of task 'b'"));
  CHECK_THAT(message, Catch::Contains("grouping \"all\" is not available in this version"));
}

TEST_CASE("a builder that speaks of a task before there is one says so") {
  const auto topology = TopologyBuilder("t").after("a").source("generator").build();
  REQUIRE_FALSE(topology);
  CHECK_THAT(topology.error().message, Catch::Contains("before any task()"));
}

TEST_CASE("durations are written without loss") {
  using runtime::exact_duration;
  CHECK(exact_duration(90s) == "90s");
  CHECK(exact_duration(1500ms) == "1500ms");
  CHECK(exact_duration(1'000'001us) == "1000001us");
  CHECK(exact_duration(1s + 1ns) == "1000000001ns");
  CHECK(exact_duration(0s) == "0s");
}
