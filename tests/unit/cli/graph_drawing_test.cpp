#include "cli/graph_drawing.hpp"

#include <catch2/catch.hpp>

using namespace tempest;

namespace {

Topology sample() {
  Settings sink;
  sink.set("type", {std::string("null")});
  auto topology = TopologyBuilder("t")
                      .source("generator")
                      .task("end", "sink", sink)
                      .after("b", "late")
                      .gather_each()
                      .task("a", "identity")
                      .task("b", "lib:Task")
                      .by_key()
                      .build();
  REQUIRE(topology);
  return std::move(*topology);
}

}  // namespace

TEST_CASE("Graphviz gets every task with its input's ways and every edge with its output") {
  CHECK(cli::draw_dot(sample()) == R"(digraph "t" {
  rankdir=LR;
  node [shape=box];
  "source" [shape=ellipse, label="source\ngenerator"];
  "end" [label="end\nsink null\ngather each"];
  "a" [label="a\nidentity"];
  "b" [label="b\nlib:Task\nby key"];
  "source" -> "a";
  "source" -> "b";
  "b" -> "end" [label="late"];
}
)");
}

TEST_CASE("Mermaid gets numbers for ids, since a task may be called as one of its words") {
  CHECK(cli::draw_mermaid(sample()) == R"(flowchart LR
  source(["source<br/>generator"])
  task0["end<br/>sink null<br/>gather each"]
  task1["a<br/>identity"]
  task2["b<br/>lib:Task<br/>by key"]
  source --> task1
  source --> task2
  task2 -->|late| task0
)");
}

TEST_CASE("text lists tasks with their ancestors first") {
  CHECK(cli::draw_text(sample()) == R"(t
  source (generator) -> a, b
  a (identity)
  b (lib:Task, by key) -> late: end
  end (sink null, gather each)
)");
}
