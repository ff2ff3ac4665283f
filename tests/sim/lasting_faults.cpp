// What goes wrong in a World when all other faults are over: lines that stay cut, and a call that
// hangs while key slots move.

#include <algorithm>

#include "world.hpp"

namespace tempest::sim {

void World::cut_for_good() {
  if (scenario_.lasting_cut == LastingCut::none) return;
  const auto worker = std::find_if(hosts_.begin(), hosts_.end(), [this](const auto& host) {
    return host->role() == Role::task && host->number() == scenario_.cut_worker;
  });
  const Role role =
      scenario_.lasting_cut == LastingCut::from_brokers ? Role::broker : Role::pipeline;
  for (const auto& host : hosts_) {
    if (host->role() != role || !host->is_wanted) continue;
    trace_line("world", (*worker)->name() + " and " + host->name() + " are cut off for good");
    network_.block((*worker)->index(), host->index(), kNever, true);
    network_.block(host->index(), (*worker)->index(), kNever, true);
    if (scenario_.lasting_cut == LastingCut::from_one_coordinator) break;
  }
  // A lease to notice it, another until the worker counts as missing, and the word of it.
  run_until(now_ + 5 * scenario_.link.lease + seconds(1), [] { return false; });
}

void World::hang_while_slots_move() {
  const auto never = [] { return false; };
  const auto moving = std::find_if(hosts_.begin(), hosts_.end(), [this](const auto& host) {
    return host->role() == Role::task && host->number() == scenario_.workers - 1;
  });
  (*moving)->is_wanted = false;
  (*moving)->stop(false);
  run_until(now_ + scenario_.settling_time(), never);
  hangs_next = true;
  watches_slots_ = true;
  check_slots();
  produce(20, milliseconds(100));
  run_until(now_ + seconds(1), never);
  hangs_next = false;
  // Its slots come back to it, but for that of the call.
  (*moving)->is_wanted = true;
  (*moving)->start();
  run_until(now_ + seconds(1), never);
}

/// A slot waits for what is in flight of it, or for room, and for nothing else.
void World::check_slots() {
  if (!watches_slots_) return;
  using Cause = tracking::Scheduler::SlotWait::Cause;
  const dag::Graph& graph = scenario_.topology.graph;
  std::map<std::tuple<std::size_t, TaskId, std::size_t>, TimePoint> idle;
  for (const auto& host : hosts_) {
    const auto* scheduler = host->is_alive() ? host->shell()->scheduler() : nullptr;
    if (scheduler == nullptr || scheduler->queued() == 0) continue;
    for (const TaskId task : graph.topological_order()) {
      for (std::size_t slot = 0; slot < kKeySlots; ++slot) {
        if (scheduler->slot_wait(task, slot).cause != Cause::held) continue;
        const bool is_held = std::any_of(hosts_.begin(), hosts_.end(), [&](const auto& other) {
          const auto* others = other->is_alive() ? other->shell()->scheduler() : nullptr;
          return others != nullptr && others->strays(task).test(slot);
        });
        if (is_held) continue;
        const auto key = std::tuple(host->index(), task, slot);
        const auto known = idle_slots_.find(key);
        const TimePoint since = known == idle_slots_.end() ? now_ : known->second;
        idle.emplace(key, since);
        if (now_ - since > 3 * scenario_.link.lease + seconds(1)) {
          violate("a key slot waits for itself alone",
                  "slot " + std::to_string(slot) + " of " + graph.node(task).name + " at " +
                      host->name() + " waits, and nobody has anything of it");
        }
      }
    }
  }
  idle_slots_ = std::move(idle);
  after(milliseconds(100), [this] { check_slots(); });
}

}  // namespace tempest::sim
