#include "tempest/tracking/tracker.hpp"

#include <algorithm>
#include <cassert>

#include "tempest/base/limits.hpp"
#include "tempest/base/quantity.hpp"

namespace tempest::tracking {

namespace {
// A tree's count has 31 bits, and what one result makes is added at once.
constexpr std::uint32_t kMostUnfinished = 1U << 30;
}  // namespace

Tracker::Tracker(const dag::Graph& graph, DeliveryTable& table, Scheduler& scheduler,
                 FailureRules rules, std::uint64_t seed)
    : graph_(graph),
      table_(table),
      scheduler_(scheduler),
      rules_(std::move(rules)),
      random_(seed),
      has_backlog_(rules_.max_age == Duration::zero() &&
                   std::all_of(graph.roots().begin(), graph.roots().end(),
                               [&](TaskId root) {
                                 return graph.node(root).grouping == dag::Grouping::shuffle;
                               })),
      aggregate_(graph),
      away_since_(graph.task_count(), kNever),
      traces_(graph),
      counters_(graph.task_count()) {
  rules_.sinks.resize(graph.task_count());
}

// --- Trees -------------------------------------------------------------------------------------

void Tracker::begin(PeerId owner, MessageId message, const Payload& payload, TimePoint now,
                    std::uint64_t trace, Duration age) {
  ++trees_started_;
  if (has_backlog_ && (!backlog_.empty() || !scheduler_.may_run_dry())) {
    backlog_.push(owner, message, payload, now, trace);
    scheduler_.set_backlog(backlog_.size(), backlog_.size_bytes());
    return;
  }
  begin_tree(owner, message, payload, now - age, trace);
}

bool Tracker::begin_more() {
  if (backlog_.empty() || !scheduler_.may_run_dry()) return false;
  do {
    begin_first_of_backlog();
  } while (!backlog_.empty() && scheduler_.may_run_dry());
  return true;
}

void Tracker::begin_first_of_backlog() {
  const Backlog::Message first = backlog_.pop();
  scheduler_.set_backlog(backlog_.size(), backlog_.size_bytes());
  begin_tree(first.owner, first.id, first.payload, first.came, first.trace);
}

void Tracker::begin_tree(PeerId owner, MessageId message, const Payload& payload, TimePoint began,
                         std::uint64_t trace) {
  const std::uint32_t slot = trees_.create().slot;
  Tree& tree = trees_.at(slot);
  tree.owner = owners_.number_of(owner);
  tree.message = message;
  tree.started = began;
  tree.older = newest_;
  (newest_ == kNowhere ? oldest_ : trees_.at(newest_).newer) = slot;
  newest_ = slot;
  aggregate_.open(slot);
  if (rules_.max_age > Duration::zero()) expiries_.emplace(began + rules_.max_age, slot);
  if (trace != 0) tree.traced = traces_.open(slot, trace, began);
  for (const TaskId root : graph_.roots()) add_delivery(slot, root, kNoEdge, payload);
}

void Tracker::forget_owner(PeerId owner) {
  trees_.for_each([&](TreeId id, const Tree& tree) {
    if (owners_.owner(tree.owner) != owner) return;
    ++trees_forgotten_;
    if (tree.traced) traces_.close(id.slot);
    end_tree(id.slot);
  });
  owners_.forget(owner);
  trees_forgotten_ += backlog_.forget(owner);
  scheduler_.set_backlog(backlog_.size(), backlog_.size_bytes());
}

void Tracker::complete_tree(std::uint32_t slot, TimePoint now) {
  const Tree& tree = trees_.at(slot);
  const auto tolerated = tolerated_.empty() ? tolerated_.end() : tolerated_.find(slot);
  if (tolerated != tolerated_.end()) {
    FailedMessage failed = std::move(tolerated->second);
    scheduler_.set_aside().held -= failed.payload.size_bytes();
    tolerated_.erase(tolerated);
    fail_tree(slot, std::move(failed));
    return;
  }
  acked_.push_back({owners_.owner(tree.owner), tree.message});
  if (tree.traced) traces_.tree_done(slot);
  tree_durations_.record(now - TimePoint(tree.started));
  ++trees_completed_;
  end_tree(slot);
}

void Tracker::fail_tree(std::uint32_t slot, FailedMessage failed) {
  const Tree& tree = trees_.at(slot);
  failed.owner = owners_.owner(tree.owner);
  failed.message = tree.message;
  failed.retries = tree.retries;
  if (tree.traced) {
    traces_.tree_failed(slot, failed.kind, failed.task, failed.attempts, failed.worker,
                        failed.reason);
  }
  failed_.push_back(std::move(failed));
  ++trees_failed_;
  end_tree(slot);
}

void Tracker::forget_tolerated(std::uint32_t tree) {
  const auto tolerated = tolerated_.find(tree);
  if (tolerated == tolerated_.end()) return;
  scheduler_.set_aside().held -= tolerated->second.payload.size_bytes();
  tolerated_.erase(tolerated);
}

void Tracker::end_tree(std::uint32_t slot) {
  while (trees_.at(slot).deliveries != kNowhere) {
    const std::uint32_t delivery = trees_.at(slot).deliveries;
    table_.at(delivery).traced = false;
    unlink_from_tree(trees_.at(slot), table_.at(delivery));
    switch (table_.at(delivery).state) {
      case DeliveryState::ready:
        scheduler_.withdraw(delivery);
        release_delivery(delivery);
        break;
      case DeliveryState::in_flight:
        scheduler_.orphan(delivery);
        break;
      case DeliveryState::held:
        scheduler_.set_aside().held -= table_.at(delivery).payload.size_bytes();
        aggregate_.let_go(table_, slot, delivery);
        release_delivery(delivery);
        break;
      case DeliveryState::delayed:
        take_from_delayed(delivery);
        release_delivery(delivery);
        break;
      case DeliveryState::detached:
        release_delivery(delivery);
        break;
      case DeliveryState::member:
      case DeliveryState::orphan:
        assert(false && "not in a tree's list");
        break;
    }
  }
  const Tree& tree = trees_.at(slot);
  (tree.older == kNowhere ? oldest_ : trees_.at(tree.older).newer) = tree.newer;
  (tree.newer == kNowhere ? newest_ : trees_.at(tree.newer).older) = tree.older;
  if (!tolerated_.empty()) forget_tolerated(slot);
  if (!worked_.empty()) worked_.erase(slot);
  if (!expiries_.empty()) expiries_.erase({TimePoint(tree.started) + rules_.max_age, slot});
  trees_.release(slot);
}

// --- Deliveries ----------------------------------------------------------------------------------

std::uint32_t Tracker::create_delivery(std::uint32_t tree_slot, TaskId task, EdgeId edge,
                                       const Payload& payload) {
  const std::uint32_t slot = table_.create().slot;
  Delivery& delivery = table_.at(slot);
  Tree& tree = trees_.at(tree_slot);
  delivery.tree = tree_slot;
  delivery.task = task;
  delivery.edge = edge;
  delivery.payload = payload;
  if (graph_.node(task).grouping == dag::Grouping::key) {
    delivery.key_slot = key_slot_of(payload.key(), payload.bytes());
  }
  scheduler_.note_made(delivery);
  link_to_tree(tree, delivery, slot);
  ++tree.unfinished;
  if (tree.traced) traces_.ready(slot, delivery);
  if (aggregate_.active()) aggregate_.add(tree_slot, task);
  return slot;
}

void Tracker::add_delivery(std::uint32_t tree, TaskId task, EdgeId edge, const Payload& payload) {
  const std::uint32_t slot = create_delivery(tree, task, edge, payload);
  if (aggregate_.holds(edge)) {
    scheduler_.set_aside().held += payload.size_bytes();
    aggregate_.hold(table_, tree, slot);
  } else {
    scheduler_.enqueue(slot);
  }
}

void Tracker::link_to_tree(Tree& tree, Delivery& delivery, std::uint32_t slot) {
  const std::uint32_t first = tree.deliveries;
  delivery.tree_next = first;
  if (first != kNowhere) table_.at(first).tree_previous = slot;
  tree.deliveries = slot;
}

void Tracker::unlink_from_tree(Tree& tree, Delivery& delivery) {
  const std::uint32_t previous = delivery.tree_previous;
  const std::uint32_t next = delivery.tree_next;
  (previous == kNowhere ? tree.deliveries : table_.at(previous).tree_next) = next;
  if (next != kNowhere) table_.at(next).tree_previous = previous;
  delivery.tree_previous = kNowhere;
  delivery.tree = kNowhere;
}

void Tracker::release_delivery(std::uint32_t slot) {
  ++deliveries_ended_;
  std::uint32_t member = table_.at(slot).members;
  table_.release(slot);
  while (member != kNowhere) {
    const std::uint32_t next = table_.at(member).members;
    table_.release(member);
    member = next;
  }
}

void Tracker::finish_delivery(std::uint32_t slot, TimePoint now) {
  Delivery& delivery = table_.at(slot);
  const std::uint32_t tree_slot = delivery.tree;
  Tree& tree = trees_.at(tree_slot);
  if (aggregate_.active()) aggregate_.subtract(tree_slot, delivery.task);
  unlink_from_tree(tree, delivery);
  release_delivery(slot);
  --tree.unfinished;
  if (aggregate_.active()) {
    const TreeId id = trees_.id_of(tree_slot);
    release_gathered(id, now);
    if (trees_.find(id) == nullptr) return;  // A join that was too large has ended it.
  }
  if (trees_.at(tree_slot).unfinished == 0) complete_tree(tree_slot, now);
}

void Tracker::release_gathered(TreeId tree, TimePoint now) {
  while (trees_.find(tree) != nullptr) {
    const auto task = aggregate_.ready_task(tree.slot);
    if (!task) return;
    const auto deliveries = aggregate_.release(table_, tree.slot, *task);
    for (const std::uint32_t delivery : deliveries) {
      scheduler_.set_aside().held -= table_.at(delivery).payload.size_bytes();
    }
    if (graph_.node(*task).gather == dag::Gather::all) {
      join_members(tree.slot, deliveries);
      if (!fail_large_join(deliveries.front(), now)) scheduler_.enqueue(deliveries.front());
    } else {
      for (const std::uint32_t delivery : deliveries) scheduler_.enqueue(delivery);
    }
  }
}

void Tracker::join_members(std::uint32_t tree, const std::vector<std::uint32_t>& deliveries) {
  const std::uint32_t leader = deliveries.front();
  std::uint32_t last = leader;
  for (std::size_t i = 1; i < deliveries.size(); ++i) {
    if (table_.at(deliveries[i]).traced) traces_.forget(deliveries[i], table_.at(deliveries[i]));
    unlink_from_tree(trees_.at(tree), table_.at(deliveries[i]));
    table_.at(deliveries[i]).state = DeliveryState::member;
    table_.at(last).members = deliveries[i];
    last = deliveries[i];
  }
  // They are one delivery from here on.
  const auto joined = static_cast<std::uint32_t>(deliveries.size() - 1);
  trees_.at(tree).unfinished -= joined;
  aggregate_.subtract(tree, table_.at(leader).task, joined);
}

bool Tracker::fail_large_join(std::uint32_t leader, TimePoint now) {
  std::size_t bytes = 0;
  std::size_t parts = 0;
  for (std::uint32_t slot = leader; slot != kNowhere; slot = table_.at(slot).members) {
    bytes += table_.at(slot).payload.size_bytes() + kJoinPartBytes;
    ++parts;
  }
  if (bytes <= kMaxJoinBytes && parts <= kMaxJoinParts) return false;
  const std::string reason = "a join of " + std::to_string(parts) + " messages, " +
                             format_size_bytes(bytes) + " together, and one call can be given " +
                             std::to_string(kMaxJoinParts) + " of " +
                             format_size_bytes(kMaxJoinBytes) + " at most";
  ++count(table_.at(leader).task).failed;
  trace_failure(leader, {wire::FailureKind::too_large, reason, wire::Sighting::Next::give_up, {}});
  give_up(leader, wire::FailureKind::too_large, {}, reason, now);
  return true;
}

// --- Results -------------------------------------------------------------------------------------

Delivery* Tracker::find_in_flight(DeliveryId id, std::uint32_t worker) {
  Delivery* delivery = table_.find(id);
  if (delivery != nullptr && delivery->state == DeliveryState::in_flight &&
      delivery->worker == worker) {
    return delivery;
  }
  settle_orphan(id, worker);
  ++stale_results_;
  return nullptr;
}

bool Tracker::settle_orphan(DeliveryId id, std::uint32_t worker) {
  const Delivery* delivery = table_.find(id);
  if (delivery == nullptr || delivery->state != DeliveryState::orphan ||
      delivery->worker != worker) {
    return false;
  }
  scheduler_.settle(id.slot);
  release_delivery(id.slot);
  return true;
}

bool Tracker::acknowledge(DeliveryId id, std::uint32_t worker, std::span<const Output> outputs,
                          TimePoint now) {
  const Delivery* delivery = find_in_flight(id, worker);
  if (delivery == nullptr) return false;
  const std::uint32_t tree = delivery->tree;
  const TaskId task = delivery->task;
  if (delivery->traced) traces_.done(id.slot, *delivery, outputs.size());
  scheduler_.settle(id.slot);
  ++count(task).acknowledged;
  away_since_[static_cast<std::size_t>(task)] = kNever;
  fused_failures_.clear();
  // Children first: the tree's count must not touch zero while there is more to come.
  const std::uint32_t before = trees_.at(tree).unfinished;
  for (const Output& output : outputs) add_output(tree, task, output);
  const std::uint32_t unfinished = trees_.at(tree).unfinished;
  if (unfinished > kMaxTreeDeliveries) {
    if (std::string fault = fault_of_growth(tree, unfinished - before); !fault.empty()) {
      fail_large_tree(tree, task, worker, std::move(fault));
      return true;
    }
  }
  const TreeId tree_id = trees_.id_of(tree);
  finish_delivery(id.slot, now);
  if (!fused_failures_.empty()) fail_fused(worker, tree_id, now);
  return true;
}

std::string Tracker::fault_of_growth(std::uint32_t tree, std::uint32_t made) const {
  const std::string bound = "more than " + std::to_string(kMaxTreeDeliveries) + " deliveries";
  if (made > kMaxTreeDeliveries) return "one call made " + bound;
  if (aggregate_.active() && aggregate_.most_held(tree) > kMaxTreeDeliveries) {
    return bound + " of one message are held for a task that gathers";
  }
  if (trees_.at(tree).unfinished > kMostUnfinished) {
    return "more than " + std::to_string(kMostUnfinished) +
           " deliveries of one message are unfinished";
  }
  return {};
}

void Tracker::fail_large_tree(std::uint32_t tree, TaskId task, std::uint32_t worker,
                              std::string reason) {
  FailedMessage failed;
  failed.kind = wire::FailureKind::too_many;
  failed.task = task;
  failed.attempts = 1;
  failed.worker = scheduler_.worker_name(worker);
  failed.reason = std::move(reason);
  fail_tree(tree, std::move(failed));
}

void Tracker::add_output(std::uint32_t tree, TaskId task, const Output& output) {
  if (output.edge != kNoEdge) {
    const TaskId to = graph_.edge(output.edge).to;
    if (output.failure == nullptr) return add_delivery(tree, to, output.edge, output.payload);
    const std::uint32_t failed = create_delivery(tree, to, output.edge, output.payload);
    fused_failures_.push_back({failed, output.failure});
    return;
  }
  ++count(task).outputs;
  const std::span<const EdgeId> edges = graph_.edges_for(task, output.output, edges_);
  if (edges.empty()) ++count(task).outputs_dropped;
  for (const EdgeId edge : edges) {
    add_delivery(tree, graph_.edge(edge).to, edge, output.payload);
  }
}

/// Last, since the first of them may be the end of the tree.
void Tracker::fail_fused(std::uint32_t worker, TreeId tree, TimePoint now) {
  for (const FusedFailure& failed : fused_failures_) {
    if (trees_.find(tree) == nullptr) return;
    ++count(table_.at(failed.delivery).task).failed;
    retry_or_give_up(failed.delivery, wire::FailureKind::error, scheduler_.worker_name(worker),
                     *failed.failure, now);
  }
}

void Tracker::count_fused(TaskId task, std::uint64_t acknowledged, std::uint64_t outputs,
                          std::uint64_t outputs_dropped) {
  count(task).acknowledged += acknowledged;
  count(task).outputs += outputs;
  count(task).outputs_dropped += outputs_dropped;
}

bool Tracker::fail(DeliveryId id, std::uint32_t worker, const Failure& failure, TimePoint now) {
  const Delivery* delivery = find_in_flight(id, worker);
  if (delivery == nullptr) return false;
  ++count(delivery->task).failed;
  scheduler_.settle(id.slot);
  retry_or_give_up(id.slot, wire::FailureKind::error, scheduler_.worker_name(worker), failure, now);
  return true;
}

bool Tracker::give_back(DeliveryId id, std::uint32_t worker) {
  const Delivery* delivery = find_in_flight(id, worker);
  if (delivery == nullptr) return false;
  ++count(delivery->task).returned;
  if (delivery->traced) traces_.returned(id.slot, *delivery, "its worker had not begun with it");
  scheduler_.settle(id.slot);
  table_.renew(id.slot);
  scheduler_.enqueue_returned(id.slot);
  return true;
}

void Tracker::note_handed_out(std::uint32_t slot) {
  const Delivery& delivery = table_.at(slot);
  traces_.handed_out(table_.id_of(slot), delivery, scheduler_.worker_name(delivery.worker));
}

void Tracker::note_handled(DeliveryId id, std::uint32_t worker, std::uint32_t handled_us) {
  const Delivery* delivery = table_.find(id);
  if (delivery == nullptr || !delivery->traced || delivery->worker != worker) return;
  traces_.handled(id, *delivery, handled_us);
}

bool Tracker::start(DeliveryId id, std::uint32_t worker) {
  // No end of an orphan either, so not as other results are looked up.
  Delivery* delivery = table_.find(id);
  if (delivery == nullptr || delivery->state != DeliveryState::in_flight ||
      delivery->worker != worker) {
    return false;
  }
  delivery->started = true;
  return true;
}

void Tracker::worker_died(std::span<const std::uint32_t> deliveries, const std::string& worker,
                          TimePoint now) {
  const auto started = std::find_if(deliveries.begin(), deliveries.end(), [this](auto slot) {
    return table_.at(slot).started && table_.at(slot).state != DeliveryState::orphan;
  });
  if (started != deliveries.end()) {
    worker_lost({deliveries.begin(), started});
    worker_lost({started + 1, deliveries.end()});
    // Last: with it its tree may end, and others of that are among these.
    const TaskId task = table_.at(*started).task;
    ++count(task).failed;
    ++count(task).killed_workers;
    retry_or_give_up(*started, wire::FailureKind::worker_lost, worker,
                     {false, "its worker was lost while it ran nothing else", {}}, now);
    return;
  }
  for (const std::uint32_t slot : deliveries) {
    Delivery& delivery = table_.at(slot);
    if (delivery.state != DeliveryState::orphan && delivery.losses < 255) ++delivery.losses;
  }
  worker_lost(deliveries);
}

void Tracker::worker_lost(std::span<const std::uint32_t> deliveries) {
  for (const std::uint32_t slot : deliveries) {
    const Delivery& delivery = table_.at(slot);
    if (delivery.state == DeliveryState::orphan) {
      release_delivery(slot);
      continue;
    }
    ++count(delivery.task).returned;
    if (delivery.traced) traces_.returned(slot, delivery, "its worker is lost");
    table_.renew(slot);
    scheduler_.enqueue_returned(slot);
  }
}

}  // namespace tempest::tracking
