#include "cli/graph_drawing.hpp"

#include <vector>

namespace tempest::cli {
namespace {

const TaskDefinition& definition(const Topology& topology, TaskId task) {
  return topology.tasks[static_cast<std::size_t>(task)];
}

std::string uses_text(const TaskDefinition& task) {
  return task.uses == "sink" ? "sink " + task.config.text("type") : task.uses;
}

// What is special about a task's input.
std::vector<std::string> input_notes(const TaskDefinition& task) {
  std::vector<std::string> notes;
  if (task.grouping == dag::Grouping::key) notes.push_back("by key");
  if (task.grouping == dag::Grouping::all) notes.push_back("to all");
  if (task.gather == dag::Gather::each) notes.push_back("gather each");
  if (task.gather == dag::Gather::all) notes.push_back("gather all");
  return notes;
}

std::string label(const TaskDefinition& task, const std::string& line_break) {
  std::string text = task.name + line_break + uses_text(task);
  for (const std::string& note : input_notes(task)) text += line_break + note;
  return text;
}

// Names and `uses` hold neither quotes nor backslashes, so they need no escapes.
std::string in_quotes(const std::string& text) {
  return "\"" + text + "\"";
}

// Mermaid has words of its own ("end", "graph"), so its ids are numbers.
std::string mermaid_id(TaskId task) {
  return "task" + std::to_string(static_cast<std::size_t>(task));
}

}  // namespace

std::string draw_dot(const Topology& topology) {
  const dag::Graph& graph = topology.graph;
  std::string text =
      "digraph " + in_quotes(topology.name) + " {\n  rankdir=LR;\n  node [shape=box];\n";
  text +=
      "  \"source\" [shape=ellipse, label=\"source\\n" + topology.source.endpoint.type + "\"];\n";
  for (const TaskDefinition& task : topology.tasks) {
    text += "  " + in_quotes(task.name) + " [label=" + in_quotes(label(task, "\\n")) + "];\n";
  }
  for (const TaskId root : graph.roots()) {
    text += "  \"source\" -> " + in_quotes(graph.node(root).name) + ";\n";
  }
  for (std::size_t i = 0; i < graph.edge_count(); ++i) {
    const dag::Edge& edge = graph.edge(static_cast<EdgeId>(i));
    text +=
        "  " + in_quotes(graph.node(edge.from).name) + " -> " + in_quotes(graph.node(edge.to).name);
    if (!edge.output.empty()) text += " [label=" + in_quotes(edge.output) + "]";
    text += ";\n";
  }
  return text + "}\n";
}

std::string draw_mermaid(const Topology& topology) {
  const dag::Graph& graph = topology.graph;
  std::string text = "flowchart LR\n";
  text += "  source([\"source<br/>" + topology.source.endpoint.type + "\"])\n";
  for (std::size_t i = 0; i < topology.tasks.size(); ++i) {
    text += "  " + mermaid_id(static_cast<TaskId>(i)) + "[" +
            in_quotes(label(topology.tasks[i], "<br/>")) + "]\n";
  }
  for (const TaskId root : graph.roots()) text += "  source --> " + mermaid_id(root) + "\n";
  for (std::size_t i = 0; i < graph.edge_count(); ++i) {
    const dag::Edge& edge = graph.edge(static_cast<EdgeId>(i));
    const std::string arrow = edge.output.empty() ? " --> " : " -->|" + edge.output + "| ";
    text += "  " + mermaid_id(edge.from) + arrow + mermaid_id(edge.to) + "\n";
  }
  return text;
}

std::string draw_text(const Topology& topology) {
  const dag::Graph& graph = topology.graph;
  std::string text = topology.name + "\n  source (" + topology.source.endpoint.type + ") ->";
  for (const TaskId root : graph.roots()) {
    text += (root == graph.roots().front() ? " " : ", ") + graph.node(root).name;
  }
  text += "\n";
  for (const TaskId id : graph.topological_order()) {
    const TaskDefinition& task = definition(topology, id);
    text += "  " + task.name + " (" + uses_text(task);
    for (const std::string& note : input_notes(task)) text += ", " + note;
    text += ")";
    std::string separator = " -> ";
    for (const EdgeId edge_id : graph.outgoing(id)) {
      const dag::Edge& edge = graph.edge(edge_id);
      text +=
          separator + (edge.output.empty() ? "" : edge.output + ": ") + graph.node(edge.to).name;
      separator = ", ";
    }
    text += "\n";
  }
  return text;
}

}  // namespace tempest::cli
