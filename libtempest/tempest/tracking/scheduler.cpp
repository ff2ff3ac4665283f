#include "tempest/tracking/scheduler.hpp"

#include <algorithm>
#include <cassert>
#include <cstdint>
#include <tuple>

namespace tempest::tracking {
namespace {

// A batch is full with so many bytes, too: copying them costs what a wake-up does.
constexpr std::uint64_t kBatchBytes = 256ULL << 10;
// Who has kept a delivery for so long may be stuck, and is spared as long as others are free.
constexpr Duration kPromptness = std::chrono::milliseconds(10);
// Of what makes less than this of each, counts are the narrower limits.
constexpr std::size_t kNoteworthyBytes = 1'024;

}  // namespace

const Scheduler::Room Scheduler::kAll{SIZE_MAX, UINT64_MAX};

Scheduler::Scheduler(const dag::Graph& graph, DeliveryTable& table, const QueueLimits& limits)
    : graph_(graph), table_(table), limits_(limits), tasks_(graph.task_count()) {
  for (const TaskId task : graph.topological_order()) {
    if (graph.node(task).grouping == dag::Grouping::key) {
      tasks_[index(task)].keyed = std::make_unique<KeyedQueues>();
    }
    for (const TaskId other : graph.topological_order()) {
      has_unrelated_ |= other != task && !are_related(task, other);
    }
  }
}

bool Scheduler::are_related(TaskId task, TaskId other) const {
  return graph_.is_ancestor(task, other) || graph_.is_ancestor(other, task);
}

WaitingLine& Scheduler::line_of(const Delivery& delivery) {
  TaskQueue& task = tasks_[index(delivery.task)];
  return task.keyed ? task.keyed->line_of(delivery) : task.shuffle;
}

void Scheduler::count_joined(const Delivery& delivery) {
  ++queued_;
  queued_bytes_ += size_bytes(delivery);
  if (is_suspect(delivery)) ++suspects_waiting_;
  TaskQueue& task = tasks_[index(delivery.task)];
  if (task.keyed) task.keyed->joined(delivery.key_slot);
}

void Scheduler::enqueue(std::uint32_t delivery) {
  const Delivery& record = table_.at(delivery);
  line_of(record).push_back(table_, delivery);
  count_joined(record);
  if (record.edge != kNoEdge) {
    tasks_[index(graph_.edge(record.edge).from)].selectivity.count_made();
  }
}

void Scheduler::enqueue_returned(std::uint32_t delivery) {
  const Delivery& record = table_.at(delivery);
  const TaskQueue& task = tasks_[index(record.task)];
  WaitingLine& line = line_of(record);
  // Where order is not promised it is not worth the looking.
  task.keyed ? line.push_returned_in_order(table_, delivery) : line.push_returned(table_, delivery);
  count_joined(record);
}

void Scheduler::withdraw(std::uint32_t delivery) {
  const Delivery& record = table_.at(delivery);
  assert(record.state == DeliveryState::ready);
  line_of(record).remove(table_, delivery);
  count_left(record, size_bytes(record));
}

void Scheduler::count_left(const Delivery& delivery, std::size_t bytes) {
  --queued_;
  queued_bytes_ -= bytes;
  if (is_suspect(delivery)) --suspects_waiting_;
  TaskQueue& task = tasks_[index(delivery.task)];
  if (task.keyed) task.keyed->left(delivery.key_slot);
}

std::size_t Scheduler::members_bytes(const Delivery& delivery) const {
  std::size_t bytes = 0;
  for (std::uint32_t member = delivery.members; member != kNowhere;
       member = table_.at(member).members) {
    bytes += table_.at(member).payload.size_bytes();
  }
  return bytes;
}

std::uint32_t Scheduler::add_worker(std::string name, std::span<const TaskId> tasks,
                                    Window window) {
  std::uint32_t number = 0;
  while (number < workers_.size() && workers_[number].live) ++number;
  if (number == workers_.size()) workers_.emplace_back();
  Worker& worker = workers_[number];
  worker.live = true;
  worker.name = std::move(name);
  worker.serves.assign(graph_.task_count(), false);
  for (const TaskId task : tasks) {
    if (index(task) < worker.serves.size()) worker.serves[index(task)] = true;
  }
  worker.window = window;
  ++worker_count_;
  for (std::size_t i = 0; i < tasks_.size(); ++i) {
    if (tasks_[i].keyed && worker.serves[i]) tasks_[i].keyed->attach(worker.name, number);
  }
  may_have_strayed_ = true;
  return number;
}

void Scheduler::set_window(std::uint32_t worker, Window window) {
  workers_[worker].window = window;
}

std::vector<std::uint32_t> Scheduler::remove_worker(std::uint32_t number) {
  Worker& worker = workers_[number];
  std::vector<std::uint32_t> deliveries;
  deliveries.reserve(worker.in_flight.size);
  while (!worker.in_flight.empty()) {
    const std::uint32_t slot = worker.in_flight.head;
    const bool is_orphan = table_.at(slot).state == DeliveryState::orphan;
    settle(slot);
    if (is_orphan) table_.at(slot).state = DeliveryState::orphan;
    deliveries.push_back(slot);
  }
  for (TaskQueue& task : tasks_) {
    if (!task.keyed) continue;
    for (std::size_t i = 0; i < kKeySlots; ++i) {
      if (task.keyed->slot(i).owner == number) task.keyed->slot(i).owner = kNowhere;
    }
  }
  worker = Worker{};
  --worker_count_;
  return deliveries;
}

void Scheduler::set_directory(std::span<const DirectoryWorker> workers,
                              std::uint64_t slots_revision) {
  for (std::size_t i = 0; i < tasks_.size(); ++i) {
    if (!tasks_[i].keyed) continue;
    tasks_[i].keyed->assign(candidates_of(TaskId{static_cast<std::uint16_t>(i)}, workers),
                            slots_revision);
    for (std::uint32_t number = 0; number < workers_.size(); ++number) {
      const Worker& worker = workers_[number];
      if (worker.live && worker.serves[i]) tasks_[i].keyed->attach(worker.name, number);
    }
  }
  may_have_strayed_ = true;
}

SlotCandidates Scheduler::candidates_of(TaskId task, std::span<const DirectoryWorker> workers) {
  const auto serves = [task](const DirectoryWorker& worker) {
    return std::find(worker.tasks.begin(), worker.tasks.end(), task) != worker.tasks.end();
  };
  std::uint64_t fewest = UINT64_MAX;
  for (const DirectoryWorker& worker : workers) {
    if (serves(worker)) fewest = std::min(fewest, worker.absences);
  }
  SlotCandidates candidates;
  for (const DirectoryWorker& worker : workers) {
    if (!serves(worker)) continue;
    if (worker.absences == fewest) {
      candidates.listed.push_back(worker.name);
      candidates.given_up.push_back(worker.presence == DirectoryWorker::Presence::given_up);
    }
    if (worker.presence == DirectoryWorker::Presence::here) candidates.here.push_back(worker.name);
  }
  return candidates;
}

void Scheduler::set_held(TaskId task, const SlotSet& slots) {
  if (tasks_[index(task)].keyed) tasks_[index(task)].keyed->set_held(slots);
}

bool Scheduler::update_strays() {
  if (!has_strays_ && !may_have_strayed_) return false;
  may_have_strayed_ = false;
  has_strays_ = false;
  bool has_changed = false;
  for (TaskQueue& task : tasks_) {
    if (!task.keyed) continue;
    const SlotSet strays = task.keyed->strays();
    has_changed |= strays != task.strays;
    has_strays_ |= strays.any();
    task.strays = strays;
  }
  return has_changed;
}

std::string Scheduler::stray_worker(TaskId task) const {
  const KeyedQueues* keyed = tasks_[index(task)].keyed.get();
  for (std::size_t i = 0; keyed != nullptr && i < kKeySlots; ++i) {
    if (keyed->slot(i).has_strayed()) return workers_[keyed->slot(i).sent_to].name;
  }
  return {};
}

Scheduler::SlotWait Scheduler::slot_wait(TaskId task) const {
  SlotWait busy;
  for (std::size_t i = 0; i < kKeySlots; ++i) {
    SlotWait wait = slot_wait(task, i);
    if (wait.cause == SlotWait::Cause::none) continue;
    if (wait.cause != SlotWait::Cause::busy) return wait;
    busy = std::move(wait);
  }
  return busy;
}

Scheduler::SlotWait Scheduler::slot_wait(TaskId task, std::size_t slot) const {
  using Cause = SlotWait::Cause;
  const KeyedQueues* keyed = tasks_[index(task)].keyed.get();
  if (keyed == nullptr || !keyed->is_waiting(slot)) return {};
  const KeyedQueues::Slot& one = keyed->slot(slot);
  if (one.owner_name.empty()) return {Cause::no_owner, {}, {}};
  if (one.has_strayed()) return {Cause::strayed, one.owner_name, workers_[one.sent_to].name};
  if (one.owner == kNowhere) return {Cause::not_attached, one.owner_name, {}};
  const bool may_send = one.may_send(settled_revision_) && !keyed->held().test(slot);
  return {may_send ? Cause::busy : Cause::held, one.owner_name, {}};
}

bool Scheduler::over_limits() const {
  const std::size_t aside = set_aside_.held + set_aside_.delayed + set_aside_.failed;
  return queued() > limits_.messages || queued_bytes() + aside > limits_.bytes;
}

bool Scheduler::may_feed(TaskId task) const {
  if (graph_.is_terminal(task) || !over_limits()) return true;
  if (set_aside_.delayed + set_aside_.failed > limits_.bytes) return false;
  const bool one_by_one = set_aside_.held > limits_.bytes;
  if (one_by_one && in_flight(task) > 0) return false;
  for (std::size_t i = 0; i < tasks_.size(); ++i) {
    const TaskId other{static_cast<std::uint16_t>(i)};
    if (!graph_.is_ancestor(task, other)) continue;
    if (ready(other) > 0 || (one_by_one && in_flight(other) > 0)) return false;
  }
  return true;
}

std::size_t Scheduler::allowance_by_limits(const TaskQueue& queue) const {
  if (set_aside_.held > limits_.bytes) return 1;
  std::size_t may_be_out = SIZE_MAX;
  if (const double made = queue.selectivity.value(); made > 1) {
    const std::size_t room = limits_.messages - std::min(limits_.messages, queued());
    may_be_out = static_cast<std::size_t>(static_cast<double>(room) / made);
  }
  const std::size_t bytes = queue.selectivity.value_bytes();
  if (bytes >= kNoteworthyBytes) {
    const std::size_t held =
        queued_bytes() + set_aside_.held + set_aside_.delayed + set_aside_.failed;
    const std::size_t room = limits_.bytes - std::min(limits_.bytes, held);
    may_be_out = std::min(may_be_out, room / bytes);
  }
  if (may_be_out == SIZE_MAX) return SIZE_MAX;
  if (may_be_out > queue.in_flight) return may_be_out - queue.in_flight;
  return queue.in_flight == 0 ? 1 : 0;
}

std::size_t Scheduler::allowance(TaskId task) const {
  if (graph_.is_terminal(task)) return SIZE_MAX;
  const TaskQueue& queue = tasks_[index(task)];
  const std::size_t by_limits = allowance_by_limits(queue);
  const double made_of_each = queue.selectivity.value();
  if (made_of_each <= 1 || by_limits == 0) return by_limits;
  std::size_t waiting = 0;
  bool one_has_nothing = false;
  for (const EdgeId edge : graph_.outgoing(task)) {
    const std::size_t waits = ready(graph_.edge(edge).to);
    waiting += waits;
    if (waits == 0) one_has_nothing = true;
  }
  const auto wanted = static_cast<double>(limits_.made_ahead);
  const double expected =
      static_cast<double>(waiting) + made_of_each * static_cast<double>(queue.in_flight);
  const auto wanted_more =
      static_cast<std::size_t>(std::max(wanted - expected, 0.0) / made_of_each);
  if (!one_has_nothing) return std::min(wanted_more, by_limits);
  // What is expected may not come: it is slow, or its worker hangs, or it goes another way.
  std::size_t at_idle_workers = 0;
  for (const std::uint32_t number : candidates_) {
    at_idle_workers += limits_.fed_ahead -
                       std::min<std::size_t>(limits_.fed_ahead, workers_[number].in_flight.size);
  }
  return std::min(std::max(wanted_more, at_idle_workers), by_limits);
}

void Scheduler::dispatch(TimePoint now, const std::vector<bool>& blocked,
                         std::vector<Assignment>& assignments) {
  if (queued_ == 0) return;
  const bool was_over_limits = over_limits();
  Turn turn{now, blocked, assignments};
  dispatch_tasks(turn);
  // What was held back when its turn came need not be any more.
  if (was_over_limits && !over_limits()) dispatch_tasks(turn);
}

void Scheduler::dispatch_tasks(Turn& turn) {
  if (has_unrelated_) return dispatch_shares(turn);
  const auto order = graph_.topological_order();
  for (auto task = order.rbegin(); task != order.rend(); ++task) {
    if (ready(*task) > 0 && may_feed(*task)) serve(*task, kAll, turn);
  }
}

std::size_t Scheduler::serve(TaskId task, const Room& most, Turn& turn) {
  const std::size_t given_before = turn.assignments.size();
  find_candidates(task, turn.blocked);
  turn.allowance = std::min(allowance(task), most.messages);
  turn.allowed_bytes = most.bytes;
  if (tasks_[index(task)].keyed) {
    dispatch_keyed(task, turn);
  } else {
    dispatch_shuffle(task, turn);
  }
  return turn.assignments.size() - given_before;
}

void Scheduler::dispatch_shares(Turn& turn) {
  contenders_.clear();
  const auto order = graph_.topological_order();
  for (auto task = order.rbegin(); task != order.rend(); ++task) {
    if (ready(*task) > 0) contenders_.push_back(*task);
  }
  while (!contenders_.empty()) {
    const std::size_t count = find_lowest();
    if (count > 1) {
      serve_round(count, turn);
      continue;
    }
    if (may_feed(contenders_.front())) serve(contenders_.front(), kAll, turn);
    contenders_.erase(contenders_.begin());
  }
}

std::size_t Scheduler::find_lowest() {
  const auto is_lowest = [this](TaskId task) {
    return std::none_of(contenders_.begin(), contenders_.end(),
                        [&](TaskId other) { return graph_.is_ancestor(task, other); });
  };
  sorted_.clear();
  for (const TaskId task : contenders_) {
    if (is_lowest(task)) sorted_.push_back(task);
  }
  const std::size_t count = sorted_.size();
  for (const TaskId task : contenders_) {
    if (!is_lowest(task)) sorted_.push_back(task);
  }
  std::swap(contenders_, sorted_);
  return count;
}

void Scheduler::serve_round(std::size_t count, Turn& turn) {
  const auto end = contenders_.begin() + static_cast<std::ptrdiff_t>(count);
  // Where there is room for fewer than there are, those go first that were not served last.
  std::sort(contenders_.begin(), end, [this](TaskId left, TaskId right) {
    return std::pair(left < last_served_, left) > std::pair(right < last_served_, right);
  });
  const Room room = room_for({contenders_.data(), count}, turn);
  const Room share{std::max<std::size_t>(room.messages / count, 1),
                   std::max<std::uint64_t>(room.bytes / count, 1)};
  const auto is_done = [&](TaskId task) {
    if (ready(task) == 0 || !may_feed(task) || serve(task, share, turn) == 0) return true;
    last_served_ = task;
    return ready(task) == 0;
  };
  contenders_.erase(std::remove_if(contenders_.begin(), end, is_done), end);
}

Scheduler::Room Scheduler::room_for(std::span<const TaskId> tasks, const Turn& turn) const {
  Room room;
  for (std::uint32_t number = 0; number < workers_.size(); ++number) {
    const bool can_take_one = std::any_of(tasks.begin(), tasks.end(), [&](TaskId task) {
      return can_take(number, task, turn.blocked);
    });
    if (!can_take_one) continue;
    const Worker& worker = workers_[number];
    room.messages += worker.window.messages - worker.in_flight.size;
    room.bytes += worker.window.bytes - std::min(worker.window.bytes, worker.in_flight_bytes);
  }
  return room;
}

bool Scheduler::can_take(std::uint32_t number, TaskId task,
                         const std::vector<bool>& blocked) const {
  const Worker& worker = workers_[number];
  return worker.live && worker.has_room() && worker.serves[index(task)] &&
         !(number < blocked.size() && blocked[number]);
}

bool Scheduler::wants_batch(const Worker& worker, TimePoint now) const {
  if (worker.in_flight.empty()) return worker.window.batch > 1;
  return worker.in_flight.size < worker.window.batch && worker.in_flight_bytes < kBatchBytes &&
         now - TimePoint(table_.at(worker.in_flight.head).since) < kPromptness;
}

void Scheduler::find_candidates(TaskId task, const std::vector<bool>& blocked) {
  candidates_.clear();
  for (std::uint32_t number = 0; number < workers_.size(); ++number) {
    if (can_take(number, task, blocked)) candidates_.push_back(number);
  }
}

void Scheduler::rank_candidates() {
  const auto rank = [this](std::uint32_t number) {
    return std::tuple(workers_[number].in_flight.size, number <= last_given_, number);
  };
  std::sort(candidates_.begin(), candidates_.end(),
            [&](auto left, auto right) { return rank(left) < rank(right); });
}

void Scheduler::dispatch_shuffle(TaskId task, Turn& turn) {
  WaitingLine& line = tasks_[index(task)].shuffle;
  rank_candidates();
  bool have_changed = fill_batches(line, turn);
  while (!line.empty() && turn.allowance > 0 && turn.allowed_bytes > 0) {
    if (have_changed) {
      find_candidates(task, turn.blocked);
      rank_candidates();
    }
    if (candidates_.empty()) return;
    level(line, turn);
    have_changed = true;
  }
}

bool Scheduler::fill_batches(WaitingLine& line, Turn& turn) {
  const std::size_t given_before = turn.assignments.size();
  for (auto number = candidates_.rbegin(); number != candidates_.rend(); ++number) {
    if (line.empty()) break;
    const Worker& worker = workers_[*number];
    if (!wants_batch(worker, turn.now)) continue;
    send_front(line, worker.window.batch - worker.in_flight.size, kBatchBytes, *number, turn);
  }
  return turn.assignments.size() > given_before;
}

void Scheduler::level(WaitingLine& line, Turn& turn) {
  std::size_t total = std::min<std::size_t>(line.size(), turn.allowance);
  std::size_t count = 0;
  for (const std::uint32_t number : candidates_) {
    const std::size_t has = workers_[number].in_flight.size;
    if (count > 0 && has * count >= total) break;
    total += has;
    ++count;
  }
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint32_t number = candidates_[i];
    const std::size_t level = total / count + (i < total % count ? 1 : 0);
    const std::size_t has = workers_[number].in_flight.size;
    if (line.empty() || has >= level) continue;
    send_front(line, level - has, UINT64_MAX, number, turn);
    last_given_ = number;
  }
}

void Scheduler::dispatch_keyed(TaskId task, Turn& turn) {
  KeyedQueues& keyed = *tasks_[index(task)].keyed;
  // A worker's slots are its own, so what is allowed is shared out beforehand.
  const std::size_t count = std::max<std::size_t>(1, candidates_.size());
  const std::size_t share = turn.allowance / count + (turn.allowance % count > 0 ? 1 : 0);
  for (const std::uint32_t number : candidates_) send_keyed(keyed, share, number, turn);
}

void Scheduler::send_keyed(KeyedQueues& keyed, std::size_t most, std::uint32_t number, Turn& turn) {
  const std::size_t given_before = turn.assignments.size();
  const auto is_done = [&] {
    return !workers_[number].has_room() || turn.allowance == 0 || turn.allowed_bytes == 0 ||
           turn.assignments.size() - given_before >= most;
  };
  const auto has_nothing_to_send = [&](std::size_t slot) { return keyed.slot(slot).queue.empty(); };
  keyed.slots_in_turn(number, settled_revision_, slots_);
  while (!slots_.empty() && !is_done()) {
    for (const std::size_t slot : slots_) {
      if (is_done()) break;
      send_front(keyed.slot(slot).queue, 1, UINT64_MAX, number, turn);
      keyed.turn_ended(number, slot);
    }
    std::erase_if(slots_, has_nothing_to_send);
  }
}

void Scheduler::send_front(WaitingLine& line, std::size_t most, std::uint64_t most_bytes,
                           std::uint32_t number, Turn& turn) {
  Worker& worker = workers_[number];
  most = std::min(most, turn.allowance);
  const std::size_t given_before = turn.assignments.size();
  const auto given = [&] { return turn.assignments.size() - given_before; };
  const auto take = [&](Delivery& delivery, std::uint32_t slot) {
    if (given() == most || turn.allowed_bytes == 0 || worker.in_flight_bytes >= most_bytes ||
        !worker.has_room_beside(given())) {
      return false;
    }
    const std::size_t bytes = size_bytes(delivery);
    count_left(delivery, bytes);
    worker.in_flight_bytes += bytes;
    turn.allowed_bytes -= std::min<std::uint64_t>(turn.allowed_bytes, bytes);
    delivery.worker = static_cast<std::uint16_t>(number);
    delivery.since = turn.now;
    delivery.sent_number = ++sent_number_;
    delivery.started = false;
    TaskQueue& task = tasks_[index(delivery.task)];
    ++task.in_flight;
    if (task.keyed) {
      KeyedQueues::Slot& key_slot = task.keyed->slot(delivery.key_slot);
      ++key_slot.in_flight;
      key_slot.sent_to = number;
    }
    turn.assignments.push_back({number, slot});
    return true;
  };
  line.send_front(table_, worker.in_flight, take);
  turn.allowance -= given();
}

void Scheduler::settle(std::uint32_t delivery) {
  Delivery& record = table_.at(delivery);
  assert(record.state == DeliveryState::in_flight || record.state == DeliveryState::orphan);
  TaskQueue& task = tasks_[index(record.task)];
  Worker& worker = workers_[record.worker];
  worker.in_flight_bytes -= size_bytes(record);
  table_.remove(worker.in_flight, delivery);
  --task.in_flight;
  task.selectivity.count_done();
  if (task.keyed) --task.keyed->slot(record.key_slot).in_flight;
  record.worker = kNoWorker;
}

void Scheduler::orphan(std::uint32_t delivery) {
  assert(table_.at(delivery).state == DeliveryState::in_flight);
  table_.at(delivery).state = DeliveryState::orphan;
}

bool Scheduler::has_short_root() const {
  const auto roots = graph_.roots();
  return std::any_of(roots.begin(), roots.end(),
                     [this](TaskId root) { return ready(root) < limits_.begun_ahead; });
}

std::size_t Scheduler::queued(TaskId task) const {
  const auto roots = graph_.roots();
  const bool is_root = std::find(roots.begin(), roots.end(), task) != roots.end();
  return ready(task) + (is_root ? backlog_messages_ : 0);
}

std::size_t Scheduler::ready(TaskId task) const {
  const TaskQueue& queue = tasks_[index(task)];
  return queue.keyed ? queue.keyed->queued() : queue.shuffle.size();
}

std::size_t Scheduler::workers_of(TaskId task) const {
  return static_cast<std::size_t>(std::count_if(
      workers_.begin(), workers_.end(),
      [task](const Worker& worker) { return worker.live && worker.serves[index(task)]; }));
}

}  // namespace tempest::tracking
