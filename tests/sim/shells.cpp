#include "shells.hpp"

#include <algorithm>

#include "broker/broker_machine.hpp"
#include "pipeline_node/pipeline_machine.hpp"
#include "tempest/runtime/topology_file.hpp"
#include "world.hpp"

namespace tempest::sim {

namespace {

class BrokerShell final : public Shell {
 public:
  BrokerShell(World& world, Host& host)
      : machine_({Role::broker, host.name(), host.incarnation(), ""}, world.scenario().link) {}

  void start(TimePoint now, link::Effects& /*effects*/) override { machine_.start(now); }
  void receive(const link::FrameReceived& received, TimePoint now,
               link::Effects& effects) override {
    machine_.receive(received, now, effects);
  }
  void turn(TimePoint now, link::Effects& effects) override { machine_.turn(now, effects); }
  TimePoint next_turn() const override { return machine_.next_turn(); }
  void stop(bool /*at_once*/, TimePoint now, link::Effects& effects) override {
    machine_.stop(now, effects);
  }

 private:
  broker::BrokerMachine machine_;
};

Topology topology_of(const World& world) {
  std::vector<runtime::Diagnostic> diagnostics;
  return *runtime::parse_topology(world.scenario().topology_text(world.version()), "", diagnostics);
}

pipeline_node::PipelineSettings settings_of(const World& world, const Host& host) {
  const Scenario& scenario = world.scenario();
  pipeline_node::PipelineSettings settings;
  settings.brokers = world.broker_endpoints();
  settings.endpoint = host.endpoint();
  settings.link = scenario.link;
  settings.drain_timeout = scenario.drain_timeout;
  settings.source_window_messages = scenario.source_window;
  settings.queue_limits = scenario.queue_limits;
  settings.min_workers = scenario.min_workers;
  return settings;
}

class CoordinatorShell final : public Shell {
 public:
  CoordinatorShell(World& world, Host& host)
      : world_(world),
        host_(host),
        scenario_(world.scenario()),
        machine_({Role::pipeline, host.name(), host.incarnation(), "sim"}, settings_of(world, host),
                 topology_of(world), world.random().next()) {}

  void start(TimePoint now, link::Effects& effects) override { machine_.start(now, effects); }
  void receive(const link::FrameReceived& received, TimePoint now,
               link::Effects& effects) override {
    machine_.receive(received, now, effects);
  }
  void turn(TimePoint now, link::Effects& effects) override { machine_.turn(now, effects); }
  TimePoint next_turn() const override { return machine_.next_turn(); }
  void stop(bool at_once, TimePoint now, link::Effects& effects) override {
    machine_.stop(at_once, now, effects);
  }

  std::string check() const override {
    const std::uint64_t trees = machine_.tracker().trees_in_flight();
    if (trees > scenario_.sources * scenario_.source_window) {
      return std::to_string(trees) + " trees, with a window of " +
             std::to_string(scenario_.source_window);
    }
    check_idle();
    if (std::string fault = check_books(); !fault.empty()) return fault;
    check_shares();
    return check_limits();
  }
  const tracking::Scheduler* scheduler() const override { return &machine_.scheduler(); }
  bool is_idle() const override { return leftovers().empty(); }
  std::string leftovers() const override {
    std::string text;
    const auto say = [&text](const char* what, std::size_t count) {
      if (count > 0) text += std::string(text.empty() ? "" : ", ") + std::to_string(count) + what;
    };
    say(" trees", machine_.tracker().trees_in_flight());
    say(" delayed", machine_.tracker().delayed());
    say(" queued", machine_.scheduler().queued());
    say(" bytes queued", machine_.scheduler().queued_bytes());
    say(" deliveries", machine_.delivery_count());
    const tracking::SetAside& aside = machine_.scheduler().set_aside();
    say(" bytes set aside", aside.held + aside.delayed + aside.failed);
    for (std::size_t i = 0; i < scenario_.shapes.size(); ++i) {
      say(" in flight", machine_.scheduler().in_flight(TaskId{static_cast<std::uint16_t>(i)}));
    }
    return text;
  }

 private:
  bool has_descendant_waiting(TaskId task) const {
    const dag::Graph& graph = scenario_.topology.graph;
    for (const TaskId other : graph.topological_order()) {
      if (graph.is_ancestor(task, other) && machine_.scheduler().queued(other) > 0) return true;
    }
    return false;
  }

  /// Nothing more that the task makes is needed to keep others at work; or what it makes is on its
  /// way, and what it is allowed beside that fills up a worker that is at work.
  bool has_made_ahead(TaskId task) const {
    const dag::Graph& graph = scenario_.topology.graph;
    const tracking::QueueLimits& limits = scenario_.queue_limits;
    if (graph.is_terminal(task)) return false;
    const tracking::SetAside& aside = machine_.scheduler().set_aside();
    if (aside.held > limits.bytes || aside.delayed + aside.failed > limits.bytes) return true;
    const bool is_narrow = limits.messages < 100 || limits.bytes < 1'000;
    if (is_narrow && machine_.scheduler().in_flight(task) > 0) return true;
    if (limits.made_ahead > 100) return false;
    if (machine_.scheduler().in_flight(task) > 0) return true;
    const auto edges = graph.outgoing(task);
    return std::all_of(edges.begin(), edges.end(), [&](EdgeId edge) {
      return machine_.scheduler().queued(graph.edge(edge).to) > 0;
    });
  }

  bool is_over_limits() const {
    const tracking::Scheduler& scheduler = machine_.scheduler();
    const tracking::QueueLimits& limits = scenario_.queue_limits;
    const tracking::SetAside& aside = scheduler.set_aside();
    const std::size_t bytes = scheduler.queued_bytes() + aside.held + aside.delayed + aside.failed;
    return scheduler.queued() > limits.messages || bytes > limits.bytes;
  }

  /// What the books say is held, beside what is.
  std::string check_books() const {
    std::size_t held = 0;
    std::size_t delayed = 0;
    std::size_t ready = 0;
    machine_.deliveries().for_each([&](const tracking::Delivery& delivery) {
      // Members stand in no list of their own; their leader counts them.
      if (delivery.members != tracking::kNowhere) return;
      const std::size_t bytes = delivery.payload.size_bytes();
      if (delivery.state == tracking::DeliveryState::held) held += bytes;
      if (delivery.state == tracking::DeliveryState::delayed) delayed += bytes;
      if (delivery.state == tracking::DeliveryState::ready) ready += bytes;
    });
    const tracking::SetAside& aside = machine_.scheduler().set_aside();
    const bool joins =
        std::any_of(scenario_.topology.tasks.begin(), scenario_.topology.tasks.end(),
                    [](const auto& task) { return task.gather == dag::Gather::all; });
    const bool tolerates = scenario_.topology.failure.policy == FailurePolicy::best_effort;
    const bool held_agrees = tolerates ? aside.held >= held : aside.held == held;
    const bool delayed_agrees = joins ? aside.delayed >= delayed : aside.delayed == delayed;
    if (held_agrees && delayed_agrees && machine_.scheduler().queued_bytes() >= ready) return {};
    return "the books say " + std::to_string(aside.held) + " bytes held, " +
           std::to_string(aside.delayed) + " delayed and " +
           std::to_string(machine_.scheduler().queued_bytes()) + " queued; there are " +
           std::to_string(held) + ", " + std::to_string(delayed) + " and " + std::to_string(ready);
  }

  /// While too much waits, nothing is done that makes more.
  std::string check_limits() const {
    // Suspects go first.
    if (!is_over_limits() || world_.ledger().worker_losses() > 0) return {};
    for (const TaskId task : world_.watch().fed()) {
      if (has_descendant_waiting(task)) {
        return std::to_string(machine_.scheduler().queued()) + " wait, and yet task " +
               scenario_.topology.graph.node(task).name + " is given more";
      }
    }
    return {};
  }

  /// Once everybody knows everybody, no worker has nothing to do while work for it waits here.
  void check_idle() const {
    if (!world_.is_settled() || host_.is_stopping()) return;
    const tracking::Scheduler& scheduler = machine_.scheduler();
    const dag::Graph& graph = scenario_.topology.graph;
    if (scheduler.queued() == 0 || scheduler.suspects_waiting() > 0) return;
    for (const TaskId task : graph.topological_order()) {
      if (scheduler.queued(task) == 0) continue;
      if (is_over_limits() && !graph.is_terminal(task) && has_descendant_waiting(task)) continue;
      if (has_made_ahead(task)) continue;
      std::string idle;
      bool all_idle = true;
      for (const auto& host : world_.hosts()) {
        if (host->role() != Role::task || !host->is_wanted ||
            !scenario_.serves(host->number(), graph.node(task).name)) {
          continue;
        }
        if (world_.network().is_blocked(host_.index(), host->index())) continue;
        const auto at = world_.watch().at_worker(host_.index(), host->index());
        const bool is_idle = at.window_messages == 0 || (at.out == 0 && !at.is_blocked);
        if (is_idle) idle = host->name();
        all_idle = all_idle && is_idle;
      }
      // A key's worker may be busy while others are not.
      const bool is_keyed = graph.node(task).grouping == dag::Grouping::key;
      if (idle.empty() || (is_keyed && !all_idle)) continue;
      world_.violate("no worker idles while work waits",
                     idle + " while " + std::to_string(scheduler.queued(task)) + " wait for " +
                         graph.node(task).name + " at " + host_.name());
    }
  }

  /// No task waits while others, that are neither above nor below it, get all the room there is.
  void check_shares() const {
    const tracking::Scheduler& scheduler = machine_.scheduler();
    const dag::Graph& graph = scenario_.topology.graph;
    const bool all_serve_all =
        std::all_of(scenario_.tasks.begin(), scenario_.tasks.end(),
                    [](const std::vector<std::string>& served) { return served.empty(); });
    passed_over_.resize(graph.task_count());
    if (!world_.is_settled() || host_.is_stopping() || !all_serve_all) return;
    const std::vector<TaskId>& fed = world_.watch().fed();
    for (const TaskId task : graph.topological_order()) {
      std::size_t& passed_over = passed_over_[static_cast<std::size_t>(task)];
      const bool was_fed = std::find(fed.begin(), fed.end(), task) != fed.end();
      // A key's worker may be busy; and what has been begun goes first.
      const bool may_be_passed = graph.node(task).grouping == dag::Grouping::key ||
                                 has_descendant_waiting(task) || has_made_ahead(task) ||
                                 is_over_limits() || scheduler.suspects_waiting() > 0;
      if (was_fed || scheduler.queued(task) == 0 || may_be_passed) {
        passed_over = 0;
        continue;
      }
      passed_over +=
          static_cast<std::size_t>(std::count_if(fed.begin(), fed.end(), [&](TaskId other) {
            return !graph.is_ancestor(task, other) && !graph.is_ancestor(other, task);
          }));
      if (passed_over > kMostPassedOver) {
        world_.violate("no task waits while others get all",
                       graph.node(task).name + " at " + host_.name() + " was passed over " +
                           std::to_string(passed_over) + " times");
      }
    }
  }

  static constexpr std::size_t kMostPassedOver = 40;

  World& world_;
  Host& host_;
  const Scenario& scenario_;
  pipeline_node::PipelineMachine machine_;
  mutable std::vector<std::size_t> passed_over_;  ///< By task.
};

}  // namespace

std::unique_ptr<Shell> make_broker_shell(World& world, Host& host) {
  return std::make_unique<BrokerShell>(world, host);
}

std::unique_ptr<Shell> make_coordinator_shell(World& world, Host& host) {
  return std::make_unique<CoordinatorShell>(world, host);
}

}  // namespace tempest::sim
