#pragma once

#include <algorithm>
#include <catch2/catch.hpp>
#include <initializer_list>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "tempest/tracking/tracker.hpp"

/// A coordinator's tracking without its links: a graph drawn as text, sources and workers that do
/// what the test says, and a clock that the test moves.
namespace tempest::tracking {

/// A graph from text: "a -> b, b:late -> c" (an output's name after a colon). A word in brackets
/// after a task's name, where it first stands, sets it up: key, each (gather), all (gather). Tasks
/// have ids in the order in which they are first named.
inline dag::Graph draw(std::string_view text) {
  std::vector<dag::Node> nodes;
  std::vector<dag::EdgeByName> edges;
  const auto trimmed = [](std::string_view word) {
    while (!word.empty() && word.front() == ' ') word.remove_prefix(1);
    while (!word.empty() && word.back() == ' ') word.remove_suffix(1);
    return word;
  };
  const auto task = [&](std::string_view word) {
    word = trimmed(word);
    const std::size_t bracket = word.find('(');
    const std::string name(trimmed(word.substr(0, bracket)));
    for (const dag::Node& node : nodes) {
      if (node.name == name) return name;
    }
    const std::string_view setup =
        bracket == std::string_view::npos ? std::string_view() : word.substr(bracket);
    dag::Node node{name, dag::Grouping::shuffle, dag::Gather::none};
    if (setup.find("key") != std::string_view::npos) node.grouping = dag::Grouping::key;
    if (setup.find("each") != std::string_view::npos) node.gather = dag::Gather::each;
    if (setup.find("all") != std::string_view::npos) node.gather = dag::Gather::all;
    nodes.push_back(node);
    return name;
  };
  while (!text.empty()) {
    const std::size_t comma = std::min(text.find(','), text.size());
    const std::string_view part = text.substr(0, comma);
    text.remove_prefix(std::min(comma + 1, text.size()));
    const std::size_t arrow = part.find("->");
    if (arrow == std::string_view::npos) {
      task(part);
      continue;
    }
    const std::string_view from = trimmed(part.substr(0, arrow));
    const std::size_t colon = from.find(':');
    const std::string output(colon == std::string_view::npos ? std::string_view()
                                                             : trimmed(from.substr(colon + 1)));
    std::string from_name = task(from.substr(0, colon));
    std::string to_name = task(part.substr(arrow + 2));
    edges.push_back({std::move(from_name), std::move(to_name), output});
  }
  std::vector<dag::Fault> faults;
  dag::Graph graph = dag::Graph::build(std::move(nodes), edges, faults);
  REQUIRE(faults.empty());
  return graph;
}

inline Payload payload_of(std::string_view text, std::string_view key = {}) {
  // Of large ones the frame is kept, so there must be one.
  const SharedBytes frame(std::string(key).append(text));
  return Payload::take(frame.view().substr(0, key.size()), frame.view().substr(key.size()), frame);
}

/// An output as a test writes it: "x", or by the name of an output "late:x".
struct Out {
  Out(const char* written) {  // NOLINT: implicit
    const std::string_view view(written);
    const std::size_t colon = view.find(':');
    if (colon != std::string_view::npos) name = view.substr(0, colon);
    text = view.substr(colon == std::string_view::npos ? 0 : colon + 1);
  }
  Out(std::string output_name, std::string output_text, std::string output_key)
      : name(std::move(output_name)), text(std::move(output_text)), key(std::move(output_key)) {}

  std::string name;
  std::string text;
  std::string key;
};

/// Three attempts, 100 ms and 200 ms apart; nothing random.
inline FailureRules rules_of(FailurePolicy policy) {
  FailureRules rules;
  rules.policy = policy;
  rules.max_attempts = 3;
  rules.backoff = {std::chrono::milliseconds(100), 2.0, std::chrono::seconds(30), 0.0};
  return rules;
}

class Pipeline {
 public:
  using Texts = std::vector<std::string>;

  /// What a worker has been given and has not answered.
  struct Given {
    std::uint32_t worker;
    DeliveryId id;
    std::string task;
    Texts parts;  ///< Payloads: one, or with gather = "all" any number.
    std::string key;
    std::uint32_t attempt;
  };

  explicit Pipeline(std::string_view shape, FailureRules rules = rules_of(FailurePolicy::retry),
                    const QueueLimits& limits = {})
      : graph(draw(shape)),
        scheduler(graph, table, limits),
        tracker(graph, table, scheduler, std::move(rules), 1) {}

  // --- Nodes ---

  /// A worker of these tasks (none named: of all), with a window that is never full.
  std::uint32_t worker(std::string name, std::initializer_list<const char*> tasks = {},
                       Scheduler::Window window = {1'000'000, 1ULL << 40}) {
    std::vector<TaskId> served;
    for (const char* served_task : tasks) served.push_back(task(served_task));
    if (tasks.size() == 0) {
      const auto all = graph.topological_order();
      served.assign(all.begin(), all.end());
    }
    return scheduler.add_worker(std::move(name), served, window);
  }

  /// The worker dies with all that it was given.
  void lose(std::uint32_t worker_number) {
    const auto back = scheduler.remove_worker(worker_number);
    tracker.worker_lost(back);
    std::erase_if(given_, [&](const Given& given) { return given.worker == worker_number; });
  }

  /// The directory lists these workers as serving everything.
  void directory(std::initializer_list<const char*> names, std::uint64_t revision) {
    std::vector<Scheduler::DirectoryWorker> workers;
    const auto all = graph.topological_order();
    for (const char* name : names) workers.push_back({name, {all.begin(), all.end()}});
    scheduler.set_directory(workers, revision);
  }

  bool has_strays() {
    scheduler.update_strays();
    return scheduler.has_strays();
  }

  /// The worker dies, perhaps of something that it was given.
  void die(std::uint32_t worker_number) {
    const std::string name = scheduler.worker_name(worker_number);
    const auto back = scheduler.remove_worker(worker_number);
    tracker.worker_died(back, name, now);
    std::erase_if(given_, [&](const Given& given) { return given.worker == worker_number; });
    collect();
  }

  // --- Messages ---

  /// A message comes from a source; its name is its payload.
  void source(std::string_view name, std::string_view key = {}, PeerId owner = {1, 1},
              Duration age = {}) {
    const MessageId id{static_cast<std::uint32_t>(names_.size()), 1};
    names_.emplace_back(name);
    tracker.begin(owner, id, payload_of(name, key), now, 0, age);
  }

  // --- Workers' steps ---

  /// Gives out all that can be; the number given.
  std::size_t dispatch(const std::vector<bool>& blocked = {}) {
    std::vector<Scheduler::Assignment> assignments;
    do {
      scheduler.dispatch(now, blocked, assignments);
    } while (tracker.begin_more());
    for (const Scheduler::Assignment& assignment : assignments) {
      const Delivery& delivery = table.at(assignment.delivery);
      REQUIRE(delivery.worker == assignment.worker);
      Given given{assignment.worker,
                  table.id_of(assignment.delivery),
                  graph.node(delivery.task).name,
                  {},
                  std::string(delivery.payload.key()),
                  delivery.attempt};
      for (std::uint32_t slot = assignment.delivery; slot != kNowhere;
           slot = table.at(slot).members) {
        given.parts.emplace_back(table.at(slot).payload.bytes());
      }
      given_.push_back(std::move(given));
    }
    return assignments.size();
  }

  /// The first delivery of the task that a worker has and has not answered; it stays unanswered
  /// as far as the tracker knows, but is not taken twice.
  Given take(std::string_view task_name) {
    dispatch();
    for (auto given = given_.begin(); given != given_.end(); ++given) {
      if (given->task != task_name) continue;
      Given taken = *given;
      given_.erase(given);
      return taken;
    }
    FAIL("nothing to take for task " << task_name);
    return {};
  }

  /// Payloads that workers have for the task, in the order given; those of one call joined by "+".
  Texts at_work(std::string_view task_name) {
    dispatch();
    Texts texts;
    for (const Given& given : given_) {
      if (given.task != task_name) continue;
      std::string text;
      for (const std::string& part : given.parts) text += (text.empty() ? "" : "+") + part;
      texts.push_back(text);
    }
    return texts;
  }

  bool done(const Given& given, const std::vector<Out>& outputs = {}) {
    std::vector<Tracker::Output> views;
    for (const Out& out : outputs) views.push_back({out.name, payload_of(out.text, out.key)});
    const bool counted = tracker.acknowledge(given.id, given.worker, views, now);
    collect();
    return counted;
  }
  /// The first delivery of the task is taken, and done.
  void done(std::string_view task_name, const std::vector<Out>& outputs = {}) {
    REQUIRE(done(take(task_name), outputs));
  }

  /// What is left of a subtree that the worker has fused.
  struct Left {
    std::string_view from;
    std::string_view to;
    std::string text;
    std::optional<Tracker::Failure> failure;
  };
  /// Done with a delivery and with what was fused after it.
  bool done_fused(const Given& given, const std::vector<Left>& left) {
    std::vector<Tracker::Output> outputs;
    for (const Left& one : left) {
      outputs.push_back({{},
                         payload_of(one.text, {}),
                         edge(one.from, one.to),
                         one.failure ? &*one.failure : nullptr});
    }
    const bool counted = tracker.acknowledge(given.id, given.worker, outputs, now);
    collect();
    return counted;
  }

  bool fail(const Given& given, const Tracker::Failure& failure = {false, "broken", {}}) {
    const bool counted = tracker.fail(given.id, given.worker, failure, now);
    collect();
    return counted;
  }
  void fail(std::string_view task_name, const Tracker::Failure& failure = {false, "broken", {}}) {
    REQUIRE(fail(take(task_name), failure));
  }

  /// The worker has given up the call, by its task's timeout or by its message's.
  bool time_out(const Given& given, bool by_tree = false,
                std::string_view reason = "the call has not ended within 1s") {
    const bool counted = tracker.time_out(given.id, given.worker, by_tree, reason, now);
    collect();
    return counted;
  }
  /// The worker says that the task has worked on it for so long, up to now.
  void worked(const Given& given, Duration time) {
    tracker.note_worked(given.id, given.worker, time, now);
  }

  /// All that this worker has and has not answered.
  std::vector<Given> given_to(std::uint32_t worker_number) const {
    std::vector<Given> given;
    std::copy_if(given_.begin(), given_.end(), std::back_inserter(given),
                 [&](const Given& one) { return one.worker == worker_number; });
    return given;
  }
  /// That worker is done with it.
  void finish(const Given& given) {
    std::erase_if(given_, [&](const Given& one) { return one.id == given.id; });
    REQUIRE(done(given));
  }

  /// The worker was told to run it alone.
  bool is_alone(const Given& given) { return is_suspect(*table.find(given.id)); }

  bool give_back(const Given& given) { return tracker.give_back(given.id, given.worker); }

  void advance(Duration time) {
    now += time;
    tracker.turn(now);
    collect();
  }

  void forget_source(PeerId owner = {1, 1}) {
    tracker.forget_owner(owner);
    collect();
  }

  // --- What came of it ---

  const Texts& acked() const { return acked_; }
  const Texts& failed() const { return failed_names_; }
  const FailedMessage& last_failure() const {
    REQUIRE(!failures_.empty());
    return failures_.back();
  }

  std::size_t waiting(std::string_view task_name) const {
    return scheduler.queued(task(task_name));
  }
  const Tracker::TaskCounters& counters(std::string_view task_name) const {
    return tracker.counters(task(task_name));
  }
  /// No record of anything is left.
  bool is_empty() const {
    return table.size() == 0 && tracker.trees_in_flight() == 0 && scheduler.queued() == 0 &&
           scheduler.queued_bytes() == 0 && tracker.delayed() == 0 &&
           tracker.oldest_tree() == kNever;
  }

  TaskId task(std::string_view name) const {
    const TaskId id = graph.find(name);
    REQUIRE(id != kNoTask);
    return id;
  }

  EdgeId edge(std::string_view from, std::string_view to) const {
    for (const EdgeId id : graph.outgoing(task(from))) {
      if (graph.edge(id).to == task(to)) return id;
    }
    FAIL("no edge from " << from << " to " << to);
    return kNoEdge;
  }

  TimePoint now{std::chrono::seconds(1000)};
  dag::Graph graph;
  DeliveryTable table;
  Scheduler scheduler;
  Tracker tracker;

 private:
  void collect() {
    for (const AckedMessage& acked : tracker.acked()) {
      acked_.push_back(names_[acked.message.slot]);
    }
    tracker.acked().clear();
    for (FailedMessage& failed : tracker.failed()) {
      failed_names_.push_back(names_[failed.message.slot]);
      failures_.push_back(std::move(failed));
    }
    tracker.failed().clear();
  }

  std::vector<std::string> names_;
  std::vector<Given> given_;
  Texts acked_;
  Texts failed_names_;
  std::vector<FailedMessage> failures_;
};

/// A pipeline with one worker, number 0, that serves every task.
struct ServedPipeline : Pipeline {
  explicit ServedPipeline(std::string_view shape,
                          FailureRules rules = rules_of(FailurePolicy::retry))
      : Pipeline(shape, std::move(rules)) {
    worker("w1");
    directory({"w1"}, 1);
    scheduler.set_settled(1);
  }
};

}  // namespace tempest::tracking
