#include "cli/replay_from_task.hpp"

#include <algorithm>
#include <set>
#include <thread>

#include "tempest/runtime/clock.hpp"

namespace tempest::cli {
namespace {

Error wrong(std::string message) {
  return Error{ErrorCode::configuration, std::move(message)};
}

std::set<std::string> tasks_from(const Topology& topology, TaskId first) {
  std::set<std::string> names;
  for (std::size_t i = 0; i < topology.tasks.size(); ++i) {
    const TaskId task{static_cast<std::uint16_t>(i)};
    if (task == first || topology.graph.is_ancestor(first, task)) {
      names.insert(topology.tasks[i].name);
    }
  }
  return names;
}

void add_task(TopologyBuilder& builder, const TaskDefinition& task,
              const std::set<std::string>& names, bool is_first) {
  builder.task(task.name, task.uses, task.config).task_timeout(task.timeout);
  if (task.grouping == dag::Grouping::key) builder.by_key();
  if (task.grouping == dag::Grouping::all) builder.to_all();
  if (is_first) return;
  if (task.gather == dag::Gather::each) builder.gather_each();
  if (task.gather == dag::Gather::all) builder.gather_all();
  for (const TaskDefinition::Input& input : task.after) {
    if (names.contains(input.task)) builder.after(input.task, input.output);
  }
}

/// An ancestor of a gathering task that is not among `names`; empty: there is none.
std::string missing_ancestor(const Topology& topology, const TaskDefinition& task,
                             const std::set<std::string>& names, const std::string& first) {
  const TaskId gathering = topology.graph.find(task.name);
  const TaskId begin = topology.graph.find(first);
  for (const TaskDefinition& other : topology.tasks) {
    const TaskId id = topology.graph.find(other.name);
    if (names.contains(other.name) || !topology.graph.is_ancestor(id, gathering)) continue;
    // What comes before the first task reaches this one through it, or past it.
    if (!topology.graph.is_ancestor(id, begin)) return other.name;
    for (const EdgeId edge : topology.graph.outgoing(id)) {
      const dag::Edge& way = topology.graph.edge(edge);
      const std::string& to = topology.graph.node(way.to).name;
      if (to != first && names.contains(to)) return other.name;
    }
  }
  return {};
}

}  // namespace

Result<Topology> topology_from_task(const Topology& topology, const std::string& task) {
  const TaskId first = topology.graph.find(task);
  if (first == kNoTask) {
    return wrong("the topology \"" + topology.name + "\" has no task \"" + task + "\" any more");
  }
  if (topology.graph.node(first).gather == dag::Gather::all) {
    return wrong("task \"" + task +
                 "\" takes everything of a message in one call, of which a letter has only a part; "
                 "use --from start");
  }
  const std::set<std::string> names = tasks_from(topology, first);

  TopologyBuilder builder(topology.name);
  for (const std::string& library : topology.libraries) builder.library(library);
  Settings source;
  source.set("count", {std::int64_t{1}});
  source.set("poll_interval", {std::string("10ms")});
  source.set("max_backoff", {std::string("100ms")});
  builder.source("generator", source);
  for (const TaskDefinition& definition : topology.tasks) {
    if (!names.contains(definition.name)) continue;
    const bool is_first = definition.name == task;
    if (!is_first && definition.gather != dag::Gather::none) {
      const std::string missing = missing_ancestor(topology, definition, names, task);
      if (!missing.empty()) {
        return wrong("task \"" + definition.name + "\" gathers what also comes from \"" + missing +
                     "\", which would not run again from \"" + task + "\" on; use --from start");
      }
    }
    add_task(builder, definition, names, is_first);
  }
  FailureDefinition failure;
  failure.timeout = topology.failure.timeout;
  failure.max_attempts = topology.failure.max_attempts;
  failure.backoff = topology.failure.backoff;
  builder.failure(failure);
  return builder.build();
}

std::vector<std::string> tasks_beside(const Topology& topology, const std::string& task) {
  std::vector<std::string> names;
  const TaskId first = topology.graph.find(task);
  if (first == kNoTask) return names;
  for (const TaskDefinition& other : topology.tasks) {
    const TaskId id = topology.graph.find(other.name);
    if (id != first && !topology.graph.is_ancestor(id, first) &&
        !topology.graph.is_ancestor(first, id)) {
      names.push_back(other.name);
    }
  }
  return names;
}

bool has_failing_delivery(const StoredLetter& letter) {
  return !letter.task.empty() &&
         (letter.kind == "error" || letter.kind == "task_timeout" || letter.kind == "worker_lost");
}

LetterSource::LetterSource(LetterStore& store, Options options)
    : store_(store),
      options_(std::move(options)),
      reader_(store, options_.filter, options_.limit) {}

Result<void> LetterSource::open() {
  if (begun_ == TimePoint{}) {
    begun_ = runtime::monotonic_now();
    return {};
  }
  return store_.open();
}

std::size_t LetterSource::allowed(std::size_t max_messages, Duration wait) const {
  if (options_.rate <= 0) return max_messages;
  const auto due = begun_ + std::chrono::duration_cast<Duration>(std::chrono::duration<double>(
                                static_cast<double>(given_) / options_.rate));
  if (const TimePoint now = runtime::monotonic_now(); due > now) {
    std::this_thread::sleep_for(std::min<Duration>(due - now, wait));
  }
  const std::chrono::duration<double> late = runtime::monotonic_now() - due;
  if (late.count() < 0) return 0;
  return std::min(max_messages, 1 + static_cast<std::size_t>(late.count() * options_.rate));
}

Result<void> LetterSource::poll(std::size_t max_messages, Duration wait, SourceBatch& batch) {
  const std::size_t before = batch.size();
  std::size_t left = allowed(max_messages, wait);
  while (left > 0 && !ended_) {
    if (next_in_page_ == page_.size()) {
      // A page is read only when that before it is used up, which bounds what is held.
      if (batch.size() > before) return {};
      auto letters = reader_.next();
      if (!letters) return letters.error();
      page_ = std::move(*letters);
      next_in_page_ = 0;
      ended_ = page_.empty();
      continue;
    }
    StoredLetter& letter = page_[next_in_page_++];
    if (!has_failing_delivery(letter)) continue;
    SourceMessage message;
    message.payload = letter.failing_payload;
    if (options_.keeps_key) message.key = letter.key;
    message.token = {0, ++given_};
    places_[given_] = std::move(letter.place);
    batch.add(message);
    --left;
  }
  batch.ended = ended_;
  return {};
}

Result<void> LetterSource::ack(std::span<const SourceToken> tokens) {
  std::vector<LetterPlace> places;
  for (const SourceToken& token : tokens) {
    if (const auto found = places_.find(token.low); found != places_.end()) {
      places.push_back(found->second);
    }
  }
  if (auto removed = store_.remove(places); !removed) return removed;
  for (const SourceToken& token : tokens) places_.erase(token.low);
  return {};
}

std::string LetterSource::describe(const SourceToken& token) const {
  const auto found = places_.find(token.low);
  return found == places_.end() ? "letter" : "letter " + found->second.id;
}

}  // namespace tempest::cli
