#include "tempest/dag/graph.hpp"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

using namespace tempest;
using namespace tempest::dag;

namespace {

using Names = std::vector<std::string>;
using Kind = Fault::Kind;

std::vector<Node> nodes(const Names& names) {
  std::vector<Node> result;
  for (const std::string& name : names) result.push_back({name});
  return result;
}

Graph build(const Names& names, const std::vector<EdgeByName>& edges) {
  std::vector<Fault> faults;
  Graph graph = Graph::build(nodes(names), edges, faults);
  REQUIRE(faults.empty());
  return graph;
}

std::vector<Fault> faults_of(const Names& names, const std::vector<EdgeByName>& edges) {
  std::vector<Fault> faults;
  const Graph graph = Graph::build(nodes(names), edges, faults);
  CHECK(graph.task_count() == 0);
  return faults;
}

Names names_of(const Graph& graph, std::span<const TaskId> tasks) {
  Names names;
  for (const TaskId task : tasks) names.push_back(graph.node(task).name);
  return names;
}

// Where an output of this name goes to.
Names targets(const Graph& graph, const std::string& task, const std::string& output) {
  std::vector<EdgeId> edges;
  graph.named_edges(graph.find(task), output, edges);
  Names names;
  for (const EdgeId edge : edges) names.push_back(graph.node(graph.edge(edge).to).name);
  return names;
}

Names plain_targets(const Graph& graph, const std::string& task) {
  Names names;
  for (const EdgeId edge : graph.plain_edges(graph.find(task))) {
    names.push_back(graph.node(graph.edge(edge).to).name);
  }
  return names;
}

bool is_ancestor(const Graph& graph, const std::string& ancestor, const std::string& of) {
  return graph.is_ancestor(graph.find(ancestor), graph.find(of));
}

}  // namespace

TEST_CASE("a chain runs from its root to its end") {
  const Graph graph = build({"a", "b", "c"}, {{"a", "b", ""}, {"b", "c", ""}});
  CHECK(graph.task_count() == 3);
  CHECK(graph.edge_count() == 2);
  CHECK(names_of(graph, graph.roots()) == Names{"a"});
  CHECK(names_of(graph, graph.topological_order()) == Names{"a", "b", "c"});
  CHECK_FALSE(graph.is_terminal(graph.find("b")));
  CHECK(graph.is_terminal(graph.find("c")));
  CHECK(graph.depth(graph.find("c")) == 2);
}

TEST_CASE("one task is a graph") {
  const Graph graph = build({"a"}, {});
  CHECK(names_of(graph, graph.roots()) == Names{"a"});
  CHECK(graph.is_terminal(graph.find("a")));
  CHECK(graph.depth(graph.find("a")) == 0);
}

TEST_CASE("a diamond's end comes after both its sides") {
  // Listed against the order of the way, so that the order must be worked out.
  const Graph graph =
      build({"end", "right", "left", "top"},
            {{"right", "end", ""}, {"left", "end", ""}, {"top", "left", ""}, {"top", "right", ""}});
  CHECK(names_of(graph, graph.roots()) == Names{"top"});
  CHECK(names_of(graph, graph.topological_order()) == Names{"top", "right", "left", "end"});
  CHECK(plain_targets(graph, "top") == Names{"left", "right"});
  CHECK(graph.depth(graph.find("end")) == 2);
}

TEST_CASE("ancestors are all tasks on any way to a task, and only those") {
  const Graph graph = build({"top", "left", "right", "end", "aside"}, {{"top", "left", ""},
                                                                       {"top", "right", ""},
                                                                       {"left", "end", ""},
                                                                       {"right", "end", ""},
                                                                       {"right", "aside", ""}});
  CHECK(is_ancestor(graph, "top", "end"));
  CHECK(is_ancestor(graph, "left", "end"));
  CHECK(is_ancestor(graph, "right", "end"));
  CHECK(is_ancestor(graph, "top", "aside"));
  CHECK_FALSE(is_ancestor(graph, "left", "aside"));
  CHECK_FALSE(is_ancestor(graph, "left", "right"));
  CHECK_FALSE(is_ancestor(graph, "end", "top"));
  CHECK_FALSE(is_ancestor(graph, "end", "end"));
}

TEST_CASE("depth is that of the longest way") {
  const Graph graph =
      build({"a", "b", "c", "d"}, {{"a", "d", ""}, {"a", "b", ""}, {"b", "c", ""}, {"c", "d", ""}});
  CHECK(graph.depth(graph.find("d")) == 3);
}

TEST_CASE("several roots may run side by side and meet") {
  const Graph graph = build({"b", "a", "meet", "alone"}, {{"a", "meet", ""}, {"b", "meet", ""}});
  CHECK(names_of(graph, graph.roots()) == Names{"b", "a", "alone"});
  CHECK(graph.is_terminal(graph.find("alone")));
  CHECK_FALSE(is_ancestor(graph, "alone", "meet"));
}

TEST_CASE("a branch may end anywhere") {
  const Graph graph =
      build({"a", "dead_end", "b", "c"}, {{"a", "dead_end", ""}, {"a", "b", ""}, {"b", "c", ""}});
  CHECK(graph.is_terminal(graph.find("dead_end")));
  CHECK(graph.is_terminal(graph.find("c")));
  CHECK_FALSE(is_ancestor(graph, "dead_end", "c"));
}

TEST_CASE("an output goes along the edges of its name") {
  const Graph graph =
      build({"split", "words", "late", "audit"},
            {{"split", "words", ""}, {"split", "audit", "late"}, {"split", "late", ""}});
  CHECK(plain_targets(graph, "split") == Names{"words", "late"});
  CHECK(targets(graph, "split", "words") == Names{"words"});
  // A named edge, and a plain one to a task so called.
  CHECK(targets(graph, "split", "late") == Names{"audit", "late"});
  CHECK(targets(graph, "split", "audit").empty());
  CHECK(targets(graph, "split", "nowhere").empty());
  CHECK(graph.outgoing(graph.find("split")).size() == 3);
}

TEST_CASE("an output takes one edge to a task, however many of them are called so") {
  const Graph graph = build({"a", "late", "b"}, {{"a", "late", ""},
                                                 {"a", "late", "late"},
                                                 {"a", "b", "late"},
                                                 {"a", "b", "b"},
                                                 {"a", "b", ""}});
  CHECK(targets(graph, "a", "late") == Names{"late", "b"});
  CHECK(targets(graph, "a", "b") == Names{"b"});
  CHECK(plain_targets(graph, "a") == Names{"late", "b"});
}

TEST_CASE("two tasks may be joined by several outputs") {
  const Graph graph = build({"a", "b"}, {{"a", "b", ""}, {"a", "b", "x"}, {"a", "b", "y"}});
  CHECK(graph.edge_count() == 3);
  CHECK(plain_targets(graph, "a") == Names{"b"});
  CHECK(targets(graph, "a", "x") == Names{"b"});
  CHECK(graph.depth(graph.find("b")) == 1);
}

TEST_CASE("tasks that hold their input are listed ancestors first") {
  std::vector<Fault> faults;
  const Graph graph = Graph::build(
      {{"late", Grouping::shuffle, Gather::all}, {"early", Grouping::key, Gather::each}, {"first"}},
      {{"first", "early", ""}, {"early", "late", ""}}, faults);
  REQUIRE(faults.empty());
  CHECK(names_of(graph, graph.gathering()) == Names{"early", "late"});
  CHECK(graph.node(graph.find("early")).grouping == Grouping::key);
}

TEST_CASE("a task that is not there is not found") {
  const Graph graph = build({"a"}, {});
  CHECK(graph.find("b") == kNoTask);
  CHECK(graph.find("") == kNoTask);
}

TEST_CASE("a cycle is a fault and its path is told") {
  const auto faults = faults_of({"in", "a", "b", "c"},
                                {{"in", "a", ""}, {"a", "b", ""}, {"b", "c", ""}, {"c", "a", ""}});
  REQUIRE(faults.size() == 1);
  CHECK(faults[0].kind == Kind::cycle);
  CHECK(faults[0].path == Names{"a", "b", "c", "a"});
}

TEST_CASE("a task after itself is a cycle") {
  const auto faults = faults_of({"in", "a"}, {{"in", "a", ""}, {"a", "a", ""}});
  REQUIRE(faults.size() == 1);
  CHECK(faults[0].kind == Kind::cycle);
  CHECK(faults[0].path == Names{"a", "a"});
}

TEST_CASE("each knot of tasks is one cycle, the shortest through its first task") {
  const auto faults = faults_of({"in", "a", "b", "c", "x", "y"}, {{"in", "a", ""},
                                                                  {"a", "b", ""},
                                                                  {"b", "c", ""},
                                                                  {"c", "a", ""},
                                                                  {"b", "a", ""},
                                                                  {"in", "x", ""},
                                                                  {"x", "y", ""},
                                                                  {"y", "x", ""}});
  REQUIRE(faults.size() == 2);
  CHECK(faults[0].path == Names{"a", "b", "a"});
  CHECK(faults[1].path == Names{"x", "y", "x"});
}

TEST_CASE("a task unreachable from every root is a fault") {
  // It made messages unfinishable where nothing looked for it.
  const auto faults =
      faults_of({"in", "a", "b", "behind", "further"},
                {{"a", "b", ""}, {"b", "a", ""}, {"b", "behind", ""}, {"behind", "further", ""}});
  REQUIRE(faults.size() == 3);
  CHECK(faults[0].kind == Kind::cycle);
  CHECK(faults[1].kind == Kind::unreachable_task);
  CHECK(faults[1].task == "behind");
  CHECK(faults[2].kind == Kind::unreachable_task);
  CHECK(faults[2].task == "further");
}

TEST_CASE("what comes after an unknown task is a fault and so is what only it reaches") {
  const auto faults = faults_of({"in", "a", "b"}, {{"nowhere", "a", ""}, {"a", "b", ""}});
  REQUIRE(faults.size() == 2);
  CHECK(faults[0].kind == Kind::unknown_task);
  CHECK(faults[0].task == "a");
  CHECK(faults[0].other == "nowhere");
  CHECK(faults[1].kind == Kind::unreachable_task);
  CHECK(faults[1].task == "b");
}

TEST_CASE("a task that a root reaches too is not called unreachable") {
  const auto faults = faults_of({"in", "a"}, {{"nowhere", "a", ""}, {"in", "a", ""}});
  REQUIRE(faults.size() == 1);
  CHECK(faults[0].kind == Kind::unknown_task);
}

TEST_CASE("duplicate tasks and edges are faults") {
  const auto faults = faults_of({"a", "b", "a"}, {{"a", "b", ""}, {"a", "b", ""}});
  REQUIRE(faults.size() == 2);
  CHECK(faults[0].kind == Kind::duplicate_task);
  CHECK(faults[0].task == "a");
  CHECK(faults[1].kind == Kind::duplicate_edge);
  CHECK(faults[1].task == "b");
  CHECK(faults[1].other == "a");
}

TEST_CASE("no task at all is a fault") {
  const auto faults = faults_of({}, {});
  REQUIRE(faults.size() == 1);
  CHECK(faults[0].kind == Kind::no_task);
}

TEST_CASE("more tasks or edges than there may be are a fault") {
  Names many;
  for (std::size_t i = 0; i <= kMaxTasks; ++i) many.push_back("t" + std::to_string(i));
  const auto faults = faults_of(many, {});
  REQUIRE(faults.size() == 1);
  CHECK(faults[0].kind == Kind::too_many);

  const std::vector<EdgeByName> edges(kMaxEdges + 1, EdgeByName{"a", "b", ""});
  CHECK(faults_of({"a", "b"}, edges).at(0).kind == Kind::too_many);
}

TEST_CASE("the longest chain that may be is built") {
  Names chain;
  std::vector<EdgeByName> edges;
  for (std::size_t i = 0; i < kMaxTasks; ++i) {
    chain.push_back("t" + std::to_string(i));
    if (i > 0) edges.push_back({chain[i - 1], chain[i], ""});
  }
  const Graph graph = build(chain, edges);
  CHECK(graph.depth(static_cast<TaskId>(kMaxTasks - 1)) == kMaxTasks - 1);
  CHECK(graph.is_ancestor(TaskId{0}, static_cast<TaskId>(kMaxTasks - 1)));
}

TEST_CASE("all faults of a graph are reported at once") {
  const auto faults =
      faults_of({"a", "a", "b", "c"}, {{"x", "a", ""}, {"b", "c", ""}, {"c", "b", ""}});
  REQUIRE(faults.size() == 3);
  CHECK(faults[0].kind == Kind::duplicate_task);
  CHECK(faults[1].kind == Kind::unknown_task);
  CHECK(faults[2].kind == Kind::cycle);
}
