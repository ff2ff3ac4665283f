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

}  // namespace

Scheduler::Scheduler(const dag::Graph& graph, DeliveryTable& table, const QueueLimits& limits)
    : graph_(graph), table_(table), limits_(limits), tasks_(graph.task_count()) {
  for (const TaskId task : graph.topological_order()) {
    if (graph.node(task).grouping == dag::Grouping::key) {
      tasks_[index(task)].keyed = std::make_unique<KeyedQueues>();
    }
  }
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
  slots_revision_ = slots_revision;
  std::vector<std::string> names;
  for (std::size_t i = 0; i < tasks_.size(); ++i) {
    if (!tasks_[i].keyed) continue;
    names.clear();
    for (const DirectoryWorker& worker : workers) {
      const TaskId task{static_cast<std::uint16_t>(i)};
      if (std::find(worker.tasks.begin(), worker.tasks.end(), task) != worker.tasks.end()) {
        names.push_back(worker.name);
      }
    }
    tasks_[i].keyed->assign(names, slots_revision);
    for (std::uint32_t number = 0; number < workers_.size(); ++number) {
      const Worker& worker = workers_[number];
      if (worker.live && worker.serves[i]) tasks_[i].keyed->attach(worker.name, number);
    }
  }
}

std::uint64_t Scheduler::settled_here() const {
  const bool settled = std::all_of(tasks_.begin(), tasks_.end(), [](const TaskQueue& task) {
    return !task.keyed || task.keyed->settled();
  });
  return settled ? slots_revision_ : std::min(settled_revision_, slots_revision_);
}

bool Scheduler::over_limits() const {
  return queued() > limits_.messages || queued_bytes() > limits_.bytes;
}

bool Scheduler::may_feed(TaskId task) const {
  if (graph_.is_terminal(task) || !over_limits()) return true;
  for (std::size_t i = 0; i < tasks_.size(); ++i) {
    const TaskId other{static_cast<std::uint16_t>(i)};
    if (graph_.is_ancestor(task, other) && ready(other) > 0) return false;
  }
  return true;
}

void Scheduler::dispatch(TimePoint now, const std::vector<bool>& blocked,
                         std::vector<Assignment>& assignments) {
  if (queued_ == 0) return;
  const bool was_over_limits = over_limits();
  dispatch_tasks(now, blocked, assignments);
  // What was held back when its turn came need not be any more.
  if (was_over_limits && !over_limits()) dispatch_tasks(now, blocked, assignments);
}

void Scheduler::dispatch_tasks(TimePoint now, const std::vector<bool>& blocked,
                               std::vector<Assignment>& assignments) {
  const auto order = graph_.topological_order();
  for (auto task = order.rbegin(); task != order.rend(); ++task) {
    if (ready(*task) == 0 || !may_feed(*task)) continue;
    if (tasks_[index(*task)].keyed) {
      dispatch_keyed(*task, now, blocked, assignments);
    } else {
      dispatch_shuffle(*task, now, blocked, assignments);
    }
  }
}

bool Scheduler::can_take(std::uint32_t number, const std::vector<bool>& blocked) const {
  return workers_[number].live && workers_[number].has_room() &&
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
    if (can_take(number, blocked) && workers_[number].serves[index(task)]) {
      candidates_.push_back(number);
    }
  }
  const auto rank = [this](std::uint32_t number) {
    return std::tuple(workers_[number].in_flight.size, number <= last_given_, number);
  };
  std::sort(candidates_.begin(), candidates_.end(),
            [&](auto left, auto right) { return rank(left) < rank(right); });
}

void Scheduler::dispatch_shuffle(TaskId task, TimePoint now, const std::vector<bool>& blocked,
                                 std::vector<Assignment>& assignments) {
  WaitingLine& line = tasks_[index(task)].shuffle;
  find_candidates(task, blocked);
  bool have_changed = fill_batches(line, now, assignments);
  while (!line.empty()) {
    if (have_changed) find_candidates(task, blocked);
    if (candidates_.empty()) return;
    level(line, now, assignments);
    have_changed = true;
  }
}

bool Scheduler::fill_batches(WaitingLine& line, TimePoint now,
                             std::vector<Assignment>& assignments) {
  const std::size_t given_before = assignments.size();
  for (auto number = candidates_.rbegin(); number != candidates_.rend(); ++number) {
    if (line.empty()) break;
    const Worker& worker = workers_[*number];
    if (!wants_batch(worker, now)) continue;
    send_front(line, worker.window.batch - worker.in_flight.size, kBatchBytes, *number, now,
               assignments);
  }
  return assignments.size() > given_before;
}

void Scheduler::level(WaitingLine& line, TimePoint now, std::vector<Assignment>& assignments) {
  std::size_t total = line.size();
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
    send_front(line, level - has, UINT64_MAX, number, now, assignments);
    last_given_ = number;
  }
}

void Scheduler::dispatch_keyed(TaskId task, TimePoint now, const std::vector<bool>& blocked,
                               std::vector<Assignment>& assignments) {
  KeyedQueues& keyed = *tasks_[index(task)].keyed;
  for (std::uint32_t number = 0; number < workers_.size(); ++number) {
    if (!can_take(number, blocked)) continue;
    keyed.slots_in_turn(number, settled_revision_, slots_);
    const auto has_nothing_to_send = [&](std::size_t slot) {
      return keyed.slot(slot).queue.empty();
    };
    while (!slots_.empty() && workers_[number].has_room()) {
      for (const std::size_t slot : slots_) {
        if (!workers_[number].has_room()) break;
        send_front(keyed.slot(slot).queue, 1, UINT64_MAX, number, now, assignments);
        keyed.turn_ended(number, slot);
      }
      std::erase_if(slots_, has_nothing_to_send);
    }
  }
}

void Scheduler::send_front(WaitingLine& line, std::size_t most, std::uint64_t most_bytes,
                           std::uint32_t number, TimePoint now,
                           std::vector<Assignment>& assignments) {
  Worker& worker = workers_[number];
  const std::size_t given_before = assignments.size();
  const auto take = [&](Delivery& delivery, std::uint32_t slot) {
    const std::size_t given = assignments.size() - given_before;
    if (given == most || worker.in_flight_bytes >= most_bytes || !worker.has_room_beside(given)) {
      return false;
    }
    const std::size_t bytes = size_bytes(delivery);
    count_left(delivery, bytes);
    worker.in_flight_bytes += bytes;
    delivery.worker = static_cast<std::uint16_t>(number);
    delivery.since = now;
    delivery.sent_number = ++sent_number_;
    delivery.started = false;
    TaskQueue& task = tasks_[index(delivery.task)];
    ++task.in_flight;
    if (task.keyed) {
      KeyedQueues::Slot& key_slot = task.keyed->slot(delivery.key_slot);
      ++key_slot.in_flight;
      key_slot.sent_to = number;
    }
    assignments.push_back({number, slot});
    return true;
  };
  line.send_front(table_, worker.in_flight, take);
}

void Scheduler::settle(std::uint32_t delivery) {
  Delivery& record = table_.at(delivery);
  assert(record.state == DeliveryState::in_flight || record.state == DeliveryState::orphan);
  TaskQueue& task = tasks_[index(record.task)];
  Worker& worker = workers_[record.worker];
  worker.in_flight_bytes -= size_bytes(record);
  table_.remove(worker.in_flight, delivery);
  --task.in_flight;
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
