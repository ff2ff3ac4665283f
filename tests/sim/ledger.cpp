#include "ledger.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "tempest/base/hash.hpp"

namespace tempest::sim {

namespace {

constexpr std::size_t kLargeBytes = 17'000;  // Beyond what coordinators copy.

std::string step_name(TaskId task, std::string_view payload) {
  std::string name(1, static_cast<char>(task));
  name += payload;
  return name;
}

}  // namespace

// --- The rules -----------------------------------------------------------------------------------

std::uint64_t Ledger::hash(TaskId task, std::string_view payload, std::uint64_t salt) const {
  Random random(hash_bytes(payload) ^ (scenario_.seed << 20) ^ (salt << 8) ^
                static_cast<std::uint64_t>(task));
  return random.next();
}

double Ledger::share(TaskId task, std::string_view payload, std::uint64_t salt) const {
  return Random(hash(task, payload, salt)).fraction();
}

Fate Ledger::fate(TaskId task, std::string_view payload) const {
  const TaskShape& shape = scenario_.shapes[static_cast<std::size_t>(task)];
  if (shape.is_sink) return Fate::good;
  double drawn = share(task, payload, 1);
  if ((drawn -= shape.sick) < 0) return Fate::sick;
  if ((drawn -= shape.throwing) < 0) return Fate::throwing;
  if ((drawn -= shape.bad) < 0) return Fate::bad;
  if ((drawn -= shape.lethal) < 0) return Fate::lethal;
  const bool gathers = scenario_.topology.graph.node(task).gather == dag::Gather::all;
  if (!gathers && (drawn -= shape.filtered) < 0) return Fate::filtered;
  return Fate::good;
}

std::vector<Emission> Ledger::outputs(TaskId task, std::string_view payload,
                                      std::string_view key) const {
  const TaskShape& shape = scenario_.shapes[static_cast<std::size_t>(task)];
  if (shape.is_sink) return {};
  const dag::Graph& graph = scenario_.topology.graph;
  std::vector<std::string> names = {"", ""};
  for (std::size_t i = 0; i < graph.edge_count(); ++i) {
    const dag::Edge& edge = graph.edge(EdgeId{static_cast<std::uint16_t>(i)});
    if (edge.from != task) continue;
    names.push_back(edge.output.empty() ? graph.node(edge.to).name : edge.output);
  }
  std::vector<Emission> emissions(hash(task, payload, 2) % (shape.most_outputs + 1));
  for (std::size_t i = 0; i < emissions.size(); ++i) {
    Emission& emission = emissions[i];
    const std::uint64_t drawn = hash(task, payload, 10 + i);
    emission.output = names[drawn % names.size()];
    if (drawn / 64 % 40 == 0) emission.output = "nobody";
    emission.payload = payload.substr(0, payload.find('~'));
    emission.payload += "." + graph.node(task).name + std::to_string(i);
    if (drawn / 4096 % 100 == 0) emission.payload += std::string(kLargeBytes, '~');
    const bool keeps = drawn / 1024 % 2 == 0;
    emission.key = keeps || scenario_.keys == 0
                       ? std::string(key)
                       : "k" + std::to_string(drawn / 2048 % scenario_.keys);
  }
  return emissions;
}

std::string Ledger::gathered_payload(std::string_view first_part) {
  return std::string(first_part.substr(0, first_part.find_first_of(".~"))) + ".";
}

// --- What is expected ----------------------------------------------------------------------------

void Ledger::produced(unsigned number, const SourceToken& token, std::string payload,
                      std::string key) {
  ++counts_.messages;
  if (sent_.size() <= number) sent_.resize(number + 1);
  sent_[number].payload = std::move(payload);
  sent_[number].key = std::move(key);
  by_token_[token] = number;
  expand(number);
}

void Ledger::expand(unsigned number) {
  const dag::Graph& graph = scenario_.topology.graph;
  std::vector<std::vector<std::pair<Step*, Emission>>> inputs(graph.task_count());
  for (const TaskId root : graph.roots()) {
    inputs[static_cast<std::size_t>(root)].push_back(
        {nullptr, {"", sent_[number].payload, sent_[number].key}});
  }
  for (const TaskId task : graph.topological_order()) expand_task(number, task, inputs);
  sent_[number].to_do = static_cast<std::uint32_t>(sent_[number].steps.size());
}

void Ledger::expand_task(unsigned number, TaskId task,
                         std::vector<std::vector<std::pair<Step*, Emission>>>& inputs) {
  const dag::Graph& graph = scenario_.topology.graph;
  const auto& arrived = inputs[static_cast<std::size_t>(task)];
  if (arrived.empty()) return;
  const auto hand_on = [&](Step& step, std::string_view key) {
    if (fate(task, step.payload) != Fate::good) return;
    for (const Emission& emission : outputs(task, step.payload, key)) {
      std::vector<EdgeId> room;
      for (const EdgeId edge : graph.edges_for(task, emission.output, room)) {
        inputs[static_cast<std::size_t>(graph.edge(edge).to)].push_back({&step, emission});
      }
    }
  };
  if (graph.node(task).gather == dag::Gather::all && arrived.front().first != nullptr) {
    Step& step = add_step(number, task, gathered_payload(sent_[number].payload));
    for (const auto& [parent, emission] : arrived) {
      step.parents.push_back(parent);
      step.parts.push_back(emission.payload);
    }
    std::sort(step.parts.begin(), step.parts.end());
    hand_on(step, "");
    return;
  }
  for (const auto& [parent, emission] : arrived) {
    Step& step = add_step(number, task, emission.payload);
    if (parent != nullptr) step.parents.push_back(parent);
    hand_on(step, emission.key);
  }
}

Ledger::Step& Ledger::add_step(unsigned number, TaskId task, std::string payload) {
  steps_.push_back(std::make_unique<Step>());
  Step& step = *steps_.back();
  step.task = task;
  step.payload = std::move(payload);
  step.message = number;
  by_name_[step_name(task, step.payload)] = &step;
  sent_[number].steps.push_back(&step);
  return step;
}

Ledger::Step* Ledger::find(TaskId task, std::string_view payload) {
  const auto found = by_name_.find(step_name(task, payload));
  return found == by_name_.end() ? nullptr : found->second;
}

Ledger::Step* Ledger::find_or_violate(TaskId task, std::string_view payload, const char* what) {
  Step* step = find(task, payload);
  if (step == nullptr) {
    violate("nothing happens that was not sent",
            std::string(what) + " " + name_of(task) + " " + std::string(payload.substr(0, 60)));
  }
  return step;
}

// --- What happens --------------------------------------------------------------------------------

void Ledger::started(TaskId task, std::string_view payload, std::uint32_t attempt) {
  Step* step = find_or_violate(task, payload, "started");
  if (step == nullptr) return;
  ++counts_.executions;
  const FailureDefinition& failure = scenario_.topology.failure;
  if (attempt > failure.max_attempts) {
    violate("attempts are bounded",
            "attempt " + std::to_string(attempt) + " of " + describe(*step));
  }
  // Each time but the first it has failed, or has taken too long, or a worker was lost that had it
  // alone. Where nothing but messages kills workers, that is a failure as well, unless something
  // went on beside it.
  const bool dies_alone = scenario_.dies_of_messages_alone() && !anything_hung_;
  const std::uint32_t excused = dies_alone ? 0 : worker_losses_;
  // What fails for good gets no other.
  const std::uint32_t failed = fate(task, payload) == Fate::bad ? 0 : step->failed;
  if (attempt > failed + step->hung + excused + 1) {
    violate("attempts are counted fairly", "attempt " + std::to_string(attempt) + " of " +
                                               describe(*step) + ", which has failed " +
                                               std::to_string(step->failed) + " times and hung " +
                                               std::to_string(step->hung));
  }
  ++step->started;
  step->attempt = std::max(step->attempt, attempt);
  check_gather(*step);
}

void Ledger::gathered(TaskId task, std::span<const Message> parts) {
  Step* step = find(task, gathered_payload(parts.front().payload));
  if (step == nullptr) return;  // started() has said so.
  std::vector<std::string> got;
  for (const Message& part : parts) got.emplace_back(part.payload);
  std::sort(got.begin(), got.end());
  if (!std::includes(step->parts.begin(), step->parts.end(), got.begin(), got.end())) {
    violate("nothing happens that was not sent", "a strange part gathered: " + describe(*step));
  }
  // By best effort what failed is missing.
  if (scenario_.topology.failure.policy == FailurePolicy::best_effort) return;
  if (got != step->parts) {
    violate("a gathering task gets everything", std::to_string(got.size()) + " parts of " +
                                                    std::to_string(step->parts.size()) + " for " +
                                                    describe(*step));
  }
}

void Ledger::check_gather(const Step& step) {
  const dag::Graph& graph = scenario_.topology.graph;
  if (graph.node(step.task).gather == dag::Gather::none || step.parents.empty()) return;
  if (scenario_.topology.failure.policy == FailurePolicy::best_effort) return;
  for (const Step* other : sent_[step.message].steps) {
    if (other->succeeded == 0 && graph.is_ancestor(other->task, step.task)) {
      violate("gathering waits for all ancestors",
              describe(step) + " began before " + describe(*other) + " was done");
      return;
    }
  }
}

void Ledger::succeeded(TaskId task, std::string_view payload) {
  Step* step = find_or_violate(task, payload, "done");
  if (step == nullptr) return;
  if (step->succeeded++ > 0) {
    ++counts_.duplicates;
    return;
  }
  --sent_[step->message].to_do;
  if (scenario_.keeps_key_order) check_order(*step);
}

void Ledger::check_order(const Step& step) {
  const std::string& key = sent_[step.message].key;
  const dag::Graph& graph = scenario_.topology.graph;
  // A sink that is away asks to be tried again later, and that breaks the order, as does another
  // attempt.
  if (key.empty() || !step.parents.empty() || step.attempt > 1 ||
      scenario_.shapes[static_cast<std::size_t>(step.task)].is_sink ||
      graph.node(step.task).grouping != dag::Grouping::key) {
    return;
  }
  auto& newest = newest_of_key_[{step.task, key}];
  if (step.message < newest) {
    violate("a key's messages stay in order",
            describe(step) + " came after m" + std::to_string(newest) + " of the same key");
  }
  newest = std::max(newest, step.message);
}

void Ledger::failed(TaskId task, std::string_view payload) {
  if (Step* step = find_or_violate(task, payload, "failed")) ++step->failed;
}

void Ledger::hung(TaskId task, std::string_view payload) {
  Step* step = find_or_violate(task, payload, "hung");
  if (step == nullptr) return;
  anything_hung_ = true;
  ++step->hung;
  sent_[step->message].has_hung = true;
}

void Ledger::sunk(std::string_view task, std::string_view payload) {
  const TaskId id = scenario_.topology.graph.find(task);
  if (Step* step = find(id, payload)) {
    ++counts_.executions;
    ++step->started;
  }
  succeeded(id, payload);
}

void Ledger::sink_refused(std::string_view task, std::string_view payload) {
  failed(scenario_.topology.graph.find(task), payload);
}

void Ledger::dead_lettered(std::string_view text) {
  ++counts_.dead_letters;
  const auto letter = nlohmann::json::parse(text);
  const auto payload = letter["payload"].get<std::string>();
  const std::string about = payload.substr(0, 20) + ": " + letter["reason"].get<std::string>();
  const auto found = std::find_if(sent_.begin(), sent_.end(),
                                  [&](const Sent& sent) { return sent.payload == payload; });
  if (found == sent_.end()) return violate("nothing happens that was not sent", "dead " + about);
  ++found->dead_letters;
  const FailureDefinition& failure = scenario_.topology.failure;
  if (scenario_.handles_failures && letter["attempts"].get<std::uint32_t>() < kHandledAttempts) {
    violate("attempts are counted fairly",
            about + " was given up though its handler said otherwise");
  }
  const auto kind = letter["kind"].get<std::string>();
  const auto attempts = letter["attempts"].get<std::uint32_t>();
  const auto delivery_attempts = letter["delivery_attempts"].get<std::uint32_t>();
  const std::uint32_t handled = scenario_.handles_failures ? kHandledAttempts : 0;
  if (attempts > std::max(failure.max_attempts, handled) ||
      delivery_attempts > failure.max_attempts) {
    return violate("attempts are bounded", "dead letter of " + about);
  }
  const auto read_at = letter["read_at"].get<std::string>();
  for (const auto& attempt : letter["history"]) {
    if (attempt["at"].get<std::string>() >= read_at) continue;
    return violate("attempts are counted fairly", about + " tells of one before it was read");
  }
  if (kind == "timeout") {
    if (attempts < failure.max_attempts) {
      violate("attempts are counted fairly",
              about + " was given up after " + std::to_string(attempts) + " timeouts");
    }
    if (!found->has_hung) violate("nothing healthy is given up", about + " never took long");
    return;
  }
  const TaskId task = scenario_.topology.graph.find(letter["task"].get<std::string>());
  if (kind == "worker_lost") {
    const std::string failing_payload = letter["failing_payload"].get<std::string>();
    // Alone at a worker is only what is alone there for all coordinators. And what runs for long
    // goes on with its batch beside it, which may be lethal.
    if (scenario_.dies_of_messages_alone() && fate(task, failing_payload) != Fate::lethal &&
        !anything_hung_) {
      violate("no bystander is harmed", about + " is no message that kills a worker");
    }
  }
  if (kind == "task_timeout") {
    std::string failing = letter["failing_payload"].get<std::string>();
    if (scenario_.topology.graph.node(task).gather == dag::Gather::all &&
        find(task, failing) == nullptr) {
      failing = gathered_payload(failing);
    }
    const Step* late = find_or_violate(task, failing, "dead letter of");
    if (late != nullptr && late->hung == 0) {
      violate("nothing healthy is given up", describe(*late) + " never took long");
    }
    return;
  }
  if (kind != "error") return;
  std::string failing = letter["failing_payload"].get<std::string>();
  const bool all = scenario_.topology.graph.node(task).gather == dag::Gather::all;
  if (all && task != kNoTask && find(task, failing) == nullptr) failing = gathered_payload(failing);
  const Step* step = find_or_violate(task, failing, "dead letter of");
  if (step == nullptr || fate(task, failing) == Fate::bad) return;
  // What a sink refuses it refuses with all that was to be written with it.
  const bool is_sink = scenario_.shapes[static_cast<std::size_t>(task)].is_sink;
  if (!is_sink && step->failed == 0) {
    violate("attempts are counted fairly",
            "a dead letter for what never failed: " + describe(*step));
  }
}

// --- Acks and the end ----------------------------------------------------------------------------

/// By best effort: it failed, or can never have come about.
bool Ledger::excused(const Step& step) const {
  return step.failed > 0 || step.hung > 0 ||
         std::any_of(step.parents.begin(), step.parents.end(),
                     [this](const Step* parent) { return excused(*parent); });
}

void Ledger::acked(const SourceToken& token) {
  const auto found = by_token_.find(token);
  if (found == by_token_.end()) {
    return violate("nothing happens that was not sent", "an ack of an unknown entry");
  }
  Sent& sent = sent_[found->second];
  // After a failover to a replica that lagged, what was acked comes again.
  if (!std::exchange(sent.acked, true)) ++counts_.acked;
  if (sent.to_do == 0 || sent.dead_letters > 0) return;
  const bool best_effort = scenario_.topology.failure.policy == FailurePolicy::best_effort;
  for (const Step* step : sent.steps) {
    if (step->succeeded > 0 || (best_effort && excused(*step))) continue;
    // By best effort, what a dead worker had leaves no trace here, nor does what was under way when
    // another step of the message took so long that its time was over.
    if (best_effort && (worker_losses_ > 0 || sent.has_hung)) continue;
    if (sent.deleted) {
      if (!std::exchange(sent.lost, true)) ++counts_.lost;
      return;
    }
    return violate("acked implies done", describe(*step) + " had not happened");
  }
}

void Ledger::check_end(const std::vector<SourceToken>& pending, bool all_read) {
  if (!all_read) return violate("everything is read", "entries of the stream were never read");
  counts_.left = pending.size();
  std::set<std::string_view> left;
  for (const SourceToken& token : pending) left.insert(sent_[by_token_[token]].payload);
  for (const Sent& sent : sent_) {
    if (sent.acked || sent.vanished || left.contains(sent.payload)) continue;
    return violate("produced = acked + pending", sent.payload.substr(0, 20) + " is neither");
  }
  if (counts_.told_lost < counts_.lost) {
    return violate("lost is counted", std::to_string(counts_.lost) + " were deleted undone, and " +
                                          std::to_string(counts_.told_lost) + " said to be lost");
  }
  for (const SourceToken& token : pending) {
    const Sent& sent = sent_[by_token_[token]];
    if (!scenario_.leaves()) return violate("nothing stays pending", sent.payload.substr(0, 20));
    const bool has_failed = std::any_of(sent.steps.begin(), sent.steps.end(),
                                        [](const Step* step) { return step->failed > 0; });
    if (!has_failed && !sent.has_hung && worker_losses_ == 0) {
      return violate("nothing is left without a cause", sent.payload.substr(0, 20));
    }
  }
}

std::string Ledger::name_of(TaskId task) const {
  return task == kNoTask ? "an unknown task" : scenario_.topology.graph.node(task).name;
}

std::string Ledger::describe(const Step& step) const {
  return name_of(step.task) + "(" + step.payload.substr(0, 40) + ")";
}

void Ledger::violate(std::string_view checker, const std::string& what) {
  if (violation_.empty()) violation_ = std::string(checker) + ": " + what;
}

}  // namespace tempest::sim
