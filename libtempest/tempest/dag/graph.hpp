#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tempest/base/ids.hpp"
#include "tempest/base/result.hpp"

namespace tempest::dag {

/// How a task's input is shared out among workers.
enum class Grouping : std::uint8_t {
  shuffle,  ///< Any worker with credit.
  key,      ///< The same key to the same worker, in order.
  all,      ///< Every worker that serves the task.
};

/// Whether a task's input is held until all its ancestors are done with the tree.
enum class Gather : std::uint8_t {
  none,  ///< Released at once.
  each,  ///< Held, then released one by one.
  all,   ///< Held, then released as one batch to one call.
};

/// A task as the graph sees it.
struct Node {
  std::string name;
  Grouping grouping = Grouping::shuffle;
  Gather gather = Gather::none;
};

/// One way from a task to another.
struct Edge {
  TaskId from{};
  TaskId to{};
  /// Empty for a plain edge, which takes every unnamed output and those that name the task it
  /// leads to. Otherwise it takes only outputs that name it.
  std::string output;
};

/// What is wrong with a graph, as a closed list; the names say where.
struct Fault {
  enum class Kind {
    duplicate_task,  ///< `task` is there twice.
    unknown_task,    ///< `task` comes after `other`, which does not exist.
    duplicate_edge,  ///< `task` comes after `other` twice by the same output.
    cycle,           ///< `path` leads back to its start.
    /// `task` can be reached from no root. Not given for tasks on a cycle or that come only after
    /// unknown ones: those have a fault of their own.
    unreachable_task,
    no_task,   ///< There is no task at all.
    too_many,  ///< More tasks or edges than ids (kMaxTasks, kMaxEdges).
  };
  Kind kind;
  std::string task;
  std::string other;
  std::vector<std::string> path;  ///< Of a cycle, first name repeated at the end.
};

inline constexpr std::size_t kMaxTasks = 1024;
inline constexpr std::size_t kMaxEdges = 8192;

/// An edge by names, as a file or a builder gives it.
struct EdgeByName {
  std::string from;
  std::string to;
  std::string output;
};

/// A checked directed acyclic graph of tasks, with everything that tracking asks of it worked out
/// beforehand. Never changes; may be shared by threads.
class Graph {
 public:
  /// An empty graph: no tasks. Only as a place to put a built one.
  Graph() = default;

  /// The graph, or every fault there is (then `faults` is not empty and the graph is not usable).
  static Graph build(std::vector<Node> nodes, const std::vector<EdgeByName>& edges,
                     std::vector<Fault>& faults);

  std::size_t task_count() const { return nodes_.size(); }
  std::size_t edge_count() const { return edges_.size(); }
  const Node& node(TaskId task) const { return nodes_[index(task)]; }
  const Edge& edge(EdgeId edge) const { return edges_[static_cast<std::size_t>(edge)]; }

  /// kNoTask if there is none of this name.
  TaskId find(std::string_view name) const;

  /// Tasks without an incoming edge, in the order of their ids: each takes the source's messages.
  std::span<const TaskId> roots() const { return roots_; }

  std::span<const EdgeId> outgoing(TaskId task) const { return outgoing_[index(task)]; }
  /// The edges that an output emitted without a name takes.
  std::span<const EdgeId> plain_edges(TaskId task) const { return plain_[index(task)]; }
  /// Appends the edges that an output emitted with this name takes, at most one to each task; none
  /// if there is no such edge.
  void named_edges(TaskId task, std::string_view output, std::vector<EdgeId>& edges) const;
  /// The edges that an output takes, named or (empty) not. Good until `room` is used again.
  std::span<const EdgeId> edges_for(TaskId task, std::string_view output,
                                    std::vector<EdgeId>& room) const;

  bool is_terminal(TaskId task) const { return outgoing_[index(task)].empty(); }
  bool is_ancestor(TaskId ancestor, TaskId of) const {
    return ancestors_[index(of)][index(ancestor)];
  }

  /// Tasks that hold their input, in topological order.
  std::span<const TaskId> gathering() const { return gathering_; }
  /// The number of edges on the longest way from a root. 0 for a root.
  std::size_t depth(TaskId task) const { return depth_[index(task)]; }
  /// Every task after all its ancestors; among equals by id.
  std::span<const TaskId> topological_order() const { return order_; }

 private:
  static std::size_t index(TaskId task) { return static_cast<std::size_t>(task); }

  void index_edges();
  void sort_tasks();
  void trace_ancestors();

  std::vector<Node> nodes_;
  std::vector<Edge> edges_;
  std::vector<TaskId> roots_;
  std::vector<TaskId> order_;
  std::vector<TaskId> gathering_;
  std::vector<std::vector<EdgeId>> outgoing_;
  std::vector<std::vector<EdgeId>> plain_;
  std::vector<std::vector<bool>> ancestors_;
  std::vector<std::size_t> depth_;
};

}  // namespace tempest::dag
