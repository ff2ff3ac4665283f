#include "tempest/dag/graph.hpp"

#include <algorithm>
#include <functional>
#include <map>
#include <queue>
#include <utility>

namespace tempest::dag {
namespace {

using Adjacency = std::vector<std::vector<std::size_t>>;

constexpr std::size_t kNowhere = static_cast<std::size_t>(-1);

// Everything that can be reached from `starts` along `next`, the starts included.
std::vector<bool> reachable(const Adjacency& next, std::vector<std::size_t> starts) {
  std::vector<bool> seen(next.size(), false);
  for (const std::size_t start : starts) seen[start] = true;
  while (!starts.empty()) {
    const std::size_t task = starts.back();
    starts.pop_back();
    for (const std::size_t to : next[task]) {
      if (seen[to]) continue;
      seen[to] = true;
      starts.push_back(to);
    }
  }
  return seen;
}

// The shortest way from `start` back to itself, start at both ends; empty if there is none.
std::vector<std::size_t> shortest_cycle(const Adjacency& next, std::size_t start) {
  std::vector<std::size_t> came_from(next.size(), kNowhere);
  std::queue<std::size_t> waiting;
  waiting.push(start);
  while (!waiting.empty()) {
    const std::size_t task = waiting.front();
    waiting.pop();
    for (const std::size_t to : next[task]) {
      if (to == start) {
        std::vector<std::size_t> path{start};
        for (std::size_t at = task; at != start; at = came_from[at]) path.push_back(at);
        path.push_back(start);
        std::reverse(path.begin(), path.end());
        return path;
      }
      if (came_from[to] != kNowhere) continue;
      came_from[to] = task;
      waiting.push(to);
    }
  }
  return {};
}

// What is checked before a graph is made of it. Works on the first of equally named tasks.
class Check {
 public:
  Check(const std::vector<Node>& nodes, std::vector<Fault>& faults)
      : nodes_(nodes), faults_(faults), next_(nodes.size()), previous_(nodes.size()) {}

  bool sizes_fit(std::size_t edge_count) {
    if (nodes_.empty()) faults_.push_back({Fault::Kind::no_task, {}, {}, {}});
    const bool fits = nodes_.size() <= kMaxTasks && edge_count <= kMaxEdges;
    if (!fits) faults_.push_back({Fault::Kind::too_many, {}, {}, {}});
    return fits && !nodes_.empty();
  }

  void add_tasks() {
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      if (ids_.emplace(nodes_[i].name, i).second) continue;
      faults_.push_back({Fault::Kind::duplicate_task, nodes_[i].name, {}, {}});
    }
  }

  // The edges that hold, in the order given.
  std::vector<Edge> add_edges(const std::vector<EdgeByName>& edges) {
    std::vector<Edge> made;
    std::map<std::pair<std::size_t, std::size_t>, std::vector<std::string_view>> seen;
    fed_by_unknown_.assign(nodes_.size(), false);
    for (const EdgeByName& edge : edges) {
      const auto from = ids_.find(edge.from);
      const auto to = ids_.find(edge.to);
      if (to == ids_.end()) {
        faults_.push_back({Fault::Kind::unknown_task, edge.from, edge.to, {}});
        continue;
      }
      if (from == ids_.end()) {
        faults_.push_back({Fault::Kind::unknown_task, edge.to, edge.from, {}});
        fed_by_unknown_[to->second] = true;
        continue;
      }
      auto& outputs = seen[{from->second, to->second}];
      if (std::find(outputs.begin(), outputs.end(), edge.output) != outputs.end()) {
        faults_.push_back({Fault::Kind::duplicate_edge, edge.to, edge.from, {}});
        continue;
      }
      outputs.push_back(edge.output);
      next_[from->second].push_back(to->second);
      previous_[to->second].push_back(from->second);
      made.push_back(
          {static_cast<TaskId>(from->second), static_cast<TaskId>(to->second), edge.output});
    }
    return made;
  }

  // One cycle of each knot of tasks that reach each other: the shortest through its first task.
  void find_cycles() {
    in_cycle_.assign(nodes_.size(), false);
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      if (in_cycle_[i]) continue;
      const std::vector<std::size_t> path = shortest_cycle(next_, i);
      if (path.empty()) continue;
      Fault fault{Fault::Kind::cycle, nodes_[i].name, {}, {}};
      for (const std::size_t task : path) fault.path.push_back(nodes_[task].name);
      faults_.push_back(std::move(fault));
      const std::vector<bool> after = reachable(next_, {i});
      const std::vector<bool> before = reachable(previous_, {i});
      for (std::size_t j = 0; j < nodes_.size(); ++j) {
        if (after[j] && before[j]) in_cycle_[j] = true;
      }
    }
  }

  // Tasks on a cycle or right behind an unknown task are left out: their fault has been named, and
  // naming it twice would hide the cause.
  void find_unreachable() {
    std::vector<std::size_t> roots;
    for (const auto& [name, i] : ids_) {
      if (previous_[i].empty() && !fed_by_unknown_[i]) roots.push_back(i);
    }
    const std::vector<bool> reached = reachable(next_, roots);
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      const bool is_first = ids_.find(nodes_[i].name)->second == i;
      if (!is_first || reached[i] || in_cycle_[i]) continue;
      if (fed_by_unknown_[i] && previous_[i].empty()) continue;
      faults_.push_back({Fault::Kind::unreachable_task, nodes_[i].name, {}, {}});
    }
  }

 private:
  const std::vector<Node>& nodes_;
  std::vector<Fault>& faults_;
  std::map<std::string, std::size_t, std::less<>> ids_;
  Adjacency next_;
  Adjacency previous_;
  std::vector<bool> fed_by_unknown_;
  std::vector<bool> in_cycle_;
};

}  // namespace

Graph Graph::build(std::vector<Node> nodes, const std::vector<EdgeByName>& edges,
                   std::vector<Fault>& faults) {
  const std::size_t faults_before = faults.size();
  Check check(nodes, faults);
  if (!check.sizes_fit(edges.size())) return {};
  check.add_tasks();
  std::vector<Edge> made = check.add_edges(edges);
  check.find_cycles();
  check.find_unreachable();
  if (faults.size() != faults_before) return {};

  Graph graph;
  graph.nodes_ = std::move(nodes);
  graph.edges_ = std::move(made);
  graph.index_edges();
  graph.sort_tasks();
  graph.trace_ancestors();
  return graph;
}

void Graph::index_edges() {
  outgoing_.resize(nodes_.size());
  plain_.resize(nodes_.size());
  std::vector<bool> has_input(nodes_.size(), false);
  for (std::size_t i = 0; i < edges_.size(); ++i) {
    const Edge& edge = edges_[i];
    outgoing_[index(edge.from)].push_back(static_cast<EdgeId>(i));
    if (edge.output.empty()) plain_[index(edge.from)].push_back(static_cast<EdgeId>(i));
    has_input[index(edge.to)] = true;
  }
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    if (!has_input[i]) roots_.push_back(static_cast<TaskId>(i));
  }
}

void Graph::sort_tasks() {
  std::vector<std::size_t> inputs_left(nodes_.size(), 0);
  for (const Edge& edge : edges_) ++inputs_left[index(edge.to)];
  std::priority_queue<TaskId, std::vector<TaskId>, std::greater<>> ready(std::greater<>(), roots_);
  while (!ready.empty()) {
    const TaskId task = ready.top();
    ready.pop();
    order_.push_back(task);
    if (node(task).gather != Gather::none) gathering_.push_back(task);
    for (const EdgeId id : outgoing(task)) {
      if (--inputs_left[index(edge(id).to)] == 0) ready.push(edge(id).to);
    }
  }
}

void Graph::trace_ancestors() {
  ancestors_.assign(nodes_.size(), std::vector<bool>(nodes_.size(), false));
  depth_.assign(nodes_.size(), 0);
  for (const TaskId task : order_) {
    for (const EdgeId id : outgoing(task)) {
      const std::size_t to = index(edge(id).to);
      depth_[to] = std::max(depth_[to], depth_[index(task)] + 1);
      ancestors_[to][index(task)] = true;
      for (std::size_t i = 0; i < nodes_.size(); ++i) {
        if (ancestors_[index(task)][i]) ancestors_[to][i] = true;
      }
    }
  }
}

TaskId Graph::find(std::string_view name) const {
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    if (nodes_[i].name == name) return static_cast<TaskId>(i);
  }
  return kNoTask;
}

void Graph::named_edges(TaskId task, std::string_view output, std::vector<EdgeId>& edges) const {
  for (const EdgeId id : outgoing(task)) {
    const Edge& candidate = edge(id);
    const std::string& taken =
        candidate.output.empty() ? node(candidate.to).name : candidate.output;
    if (taken != output) continue;
    // `after = ["a", "a:late"]` of a task called "late": the name is said by both, for one
    // delivery.
    const bool is_there = std::any_of(edges.begin(), edges.end(), [&](EdgeId other) {
      return edge(other).from == task && edge(other).to == candidate.to;
    });
    if (!is_there) edges.push_back(id);
  }
}

std::span<const EdgeId> Graph::edges_for(TaskId task, std::string_view output,
                                         std::vector<EdgeId>& room) const {
  if (output.empty()) return plain_edges(task);
  room.clear();
  named_edges(task, output, room);
  return room;
}

}  // namespace tempest::dag
