#include "simulated_tasks.hpp"

#include <stdexcept>
#include <utility>

#include "ledger.hpp"
#include "scenario.hpp"
#include "tempest/runtime/clock.hpp"

namespace tempest::sim {

thread_local Surroundings Surroundings::current;

namespace {

/// Does what the ledger's rules say, and tells the ledger.
class Step : public Task {
 public:
  Result<void> gather(std::span<const Message> messages,
                      std::span<const std::string_view> /*origins*/, Context& context) override {
    const Surroundings& here = Surroundings::current;
    const TaskId task = here.scenario->topology.graph.find(context.task());
    const std::string payload = Ledger::gathered_payload(messages.front().payload);
    here.ledger->gathered(task, messages);
    return work(task, payload, "", context);
  }

  Result<void> handle(const Message& message, Context& context) override {
    const TaskId task = Surroundings::current.scenario->topology.graph.find(context.task());
    return work(task, message.payload, message.key, context);
  }

 private:
  static Result<void> work(TaskId task, std::string_view payload, std::string_view key,
                           Context& context) {
    Surroundings& here = Surroundings::current;
    const TaskShape& shape = here.scenario->shapes[static_cast<std::size_t>(task)];
    here.ledger->started(task, payload, context.attempt());
    here.elapsed += Duration(static_cast<Duration::rep>(
        static_cast<double>(shape.handle_time.count()) * (0.5 + here.random->fraction())));
    if (here.faults && here.random->fraction() < shape.slow) {
      const Duration timeout =
          here.scenario->topology.tasks[static_cast<std::size_t>(task)].timeout;
      // Some ask for the time they need, some for less.
      if (timeout > Duration::zero() && here.random->fraction() < 0.5) {
        context.extend(timeout * static_cast<int>(1 + here.random->below(4)));
      }
      here.elapsed += shape.slow_time;
      here.ledger->hung(task, payload);
    }
    const bool is_keyed = here.scenario->topology.graph.node(task).grouping == dag::Grouping::key;
    if (is_keyed && std::exchange(*here.hangs_next, false)) {
      here.elapsed += std::chrono::seconds(30);
      here.ledger->hung(task, payload);
    }
    if (here.faults && here.random->fraction() < shape.pausing) {
      // Where nothing is tried again, there is no pause either.
      if (here.scenario->topology.failure.policy != FailurePolicy::retry) {
        here.ledger->failed(task, payload);
      }
      return TaskError{TaskError::Kind::retry, "a pause", milliseconds(20)};
    }
    const bool is_flaky = here.faults && here.random->fraction() < shape.flaky;
    const Fate fate = here.ledger->fate(task, payload);
    if (fate == Fate::lethal) {
      here.dies = true;
      here.ledger->failed(task, payload);
      return {};
    }
    if (is_flaky || fate == Fate::sick || fate == Fate::throwing || fate == Fate::bad) {
      here.ledger->failed(task, payload);
      // Emitted by a call that fails: must go nowhere.
      context.emit(Message("emitted in vain"));
      if (fate == Fate::throwing) throw std::runtime_error("thrown");
      const std::string reason =
          here.scenario->keeps_letters_away ? std::string(4'000, 'n') : std::string("no");
      return TaskError{fate == Fate::bad ? TaskError::Kind::fail : TaskError::Kind::retry, reason,
                       Duration::zero()};
    }
    if (fate != Fate::filtered) {
      for (const Emission& emission : here.ledger->outputs(task, payload, key)) {
        context.emit(Message(emission.payload, emission.key), emission.output);
      }
    }
    here.ledger->succeeded(task, payload);
    return {};
  }
};

}  // namespace

const TaskLibrary* step_library() {
  static constexpr LibraryEntry kEntries[] = {detail::make_entry<Step>("Step")};
  static constexpr TaskLibrary kLibrary = {TaskLibrary::kAbi, "sim", kEntries, 1};
  return &kLibrary;
}

}  // namespace tempest::sim

// In place of runtime/clock.cpp: what asks for the time gets that of the node it runs in.
tempest::TimePoint tempest::runtime::monotonic_now() {
  return sim::Surroundings::current.started + sim::Surroundings::current.elapsed;
}
