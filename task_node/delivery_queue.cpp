#include "task_node/delivery_queue.hpp"

#include <algorithm>
#include <cassert>
#include <utility>

#include "tempest/base/hash.hpp"
#include "tempest/wire/codec.hpp"

namespace tempest::task_node {
namespace {

constexpr std::uint32_t kNotServed = 0xffffffff;
constexpr std::size_t kMostOutstanding = 2;
constexpr std::size_t kLargestBatch = 256;
/// A batch aims at this long: results, and a stop, wait no longer than that.
constexpr double kBatchNs = 1e6;
/// Less work than this is not worth waking a second thread for.
constexpr double kLeastBatchNs = 5e4;
/// Lots with room for more than this give it back.
constexpr std::size_t kKeptItems = 8'192;

std::size_t count_in(double span_ns, double mean_ns) {
  if (mean_ns <= 0) return 1;
  const double count = span_ns / mean_ns;
  if (count >= static_cast<double>(kLargestBatch)) return kLargestBatch;
  return std::max<std::size_t>(static_cast<std::size_t>(count), 1);
}

}  // namespace

DeliveryQueue::DeliveryQueue(std::size_t threads) : outstanding_(threads), cursor_(threads) {
  assert(threads > 0);
}

void DeliveryQueue::serve(const std::vector<ServedTask>& tasks) {
  assert(queued_ == 0 && running_ == 0);
  tasks_.clear();
  index_of_.clear();
  for (const ServedTask& task : tasks) {
    const auto id = static_cast<std::size_t>(task.id);
    if (index_of_.size() <= id) index_of_.resize(id + 1, kNotServed);
    index_of_[id] = static_cast<std::uint32_t>(tasks_.size());
    TaskQueue& queue = tasks_.emplace_back();
    queue.task = task;
    queue.lanes.resize(task.by_key ? threads() : 1);
  }
  std::fill(cursor_.begin(), cursor_.end(), 0);
}

const DeliveryQueue::TaskQueue* DeliveryQueue::find(TaskId task) const {
  const auto id = static_cast<std::size_t>(task);
  if (id >= index_of_.size() || index_of_[id] == kNotServed) return nullptr;
  return &tasks_[index_of_[id]];
}

DeliveryQueue::TaskQueue* DeliveryQueue::find(TaskId task) {
  return const_cast<TaskQueue*>(std::as_const(*this).find(task));
}

std::uint32_t DeliveryQueue::take_lot() {
  if (free_lots_.empty()) {
    lots_.emplace_back();
    return static_cast<std::uint32_t>(lots_.size() - 1);
  }
  const std::uint32_t lot = free_lots_.back();
  free_lots_.pop_back();
  return lot;
}

void DeliveryQueue::close_one(std::uint32_t index) {
  Lot& lot = lots_[index];
  assert(lot.open > 0);
  if (--lot.open > 0) return;
  lot.frame = SharedBytes{};
  if (lot.deliveries.items.capacity() > kKeptItems ||
      lot.deliveries.parts.capacity() > kKeptItems) {
    lot.deliveries = wire::Deliveries{};
  }
  free_lots_.push_back(index);
}

Result<void> DeliveryQueue::accept(const SessionRef& session, const SharedBytes& frame,
                                   std::string_view body, TimePoint now,
                                   std::vector<Refused>& refused) {
  const std::uint32_t index = take_lot();
  Lot& lot = lots_[index];
  lot.open = 1;  // This call's own, so that a lot of which all is refused is freed at its end.
  if (auto decoded = wire::decode(body, lot.deliveries); !decoded) {
    close_one(index);
    return decoded;
  }
  lot.frame = frame;
  lot.session = session;
  lot.received_at = now;
  const auto& parts = lot.deliveries.parts;
  for (std::size_t i = 0; i < lot.deliveries.items.size(); ++i) {
    const wire::Deliveries::Item& item = lot.deliveries.items[i];
    TaskQueue* queue = find(item.task);
    if (queue == nullptr) {
      const auto number = std::to_string(static_cast<unsigned>(item.task));
      refused.push_back({item.id, "this worker does not serve task number " + number});
      continue;
    }
    if (item.part_count == 0 || item.first_part >= parts.size() ||
        item.part_count > parts.size() - item.first_part) {
      refused.push_back({item.id, "the delivery holds no message"});
      continue;
    }
    std::size_t lane = 0;
    if (queue->task.by_key) {
      const wire::Deliveries::Part& part = parts[item.first_part];
      // The high half: a coordinator has chosen this worker by the low bits, so among the keys
      // that come here those are not evenly spread.
      lane = (hash_bytes(part.key.empty() ? part.payload : part.key) >> 32) % queue->lanes.size();
    }
    queue->lanes[lane].push_back({index, static_cast<std::uint32_t>(i)});
    ++lot.open;
    ++queued_;
  }
  close_one(index);
  return {};
}

void DeliveryQueue::assign(std::vector<std::unique_ptr<Execution>>& executions) {
  if (queued_ == 0) return;
  for (std::size_t round = 0; round < kMostOutstanding; ++round) {
    for (std::size_t thread = 0; thread < outstanding_.size(); ++thread) {
      if (outstanding_[thread] != round) continue;
      if (auto execution = next(thread)) executions.push_back(std::move(execution));
    }
  }
}

bool DeliveryQueue::worth_waiting_at_thread(const TaskQueue& queue, std::size_t lane_size) const {
  // A batch that waits behind a slow one cannot be taken by a thread that comes free; and a task
  // that wants large batches gets larger ones by being left to wait here.
  if (queue.task.max_batch > 0) return lane_size >= queue.task.max_batch;
  return queue.mean_ns > 0 && queue.mean_ns < kBatchNs;
}

std::size_t DeliveryQueue::batch_size(const TaskQueue& queue, std::size_t lane_size) const {
  const std::size_t most =
      queue.task.max_batch > 0 ? queue.task.max_batch : count_in(kBatchNs, queue.mean_ns);
  if (queue.task.by_key) return std::min(most, lane_size);
  const std::size_t share = (lane_size + threads() - 1) / threads();
  return std::min({most, lane_size, std::max(share, count_in(kLeastBatchNs, queue.mean_ns))});
}

std::unique_ptr<Execution> DeliveryQueue::next(std::size_t thread) {
  for (std::size_t step = 0; step < tasks_.size(); ++step) {
    const std::size_t index = (cursor_[thread] + step) % tasks_.size();
    TaskQueue& queue = tasks_[index];
    std::deque<Ref>& lane = queue.lanes[queue.task.by_key ? thread : 0];
    if (lane.empty()) continue;
    if (outstanding_[thread] > 0 && !worth_waiting_at_thread(queue, lane.size())) continue;
    cursor_[thread] = index + 1;

    std::unique_ptr<Execution> execution;
    if (spare_.empty()) {
      execution = std::make_unique<Execution>();
    } else {
      execution = std::move(spare_.back());
      spare_.pop_back();
    }
    execution->thread = thread;
    execution->task = queue.task.id;
    const std::size_t size = batch_size(queue, lane.size());
    for (std::size_t i = 0; i < size; ++i) {
      const Ref ref = lane.front();
      lane.pop_front();
      const wire::Deliveries& deliveries = lots_[ref.lot].deliveries;
      const wire::Deliveries::Item& item = deliveries.items[ref.item];
      execution->deliveries.push_back({&item, &deliveries.parts[item.first_part], ref.lot});
    }
    queued_ -= size;
    ++outstanding_[thread];
    ++running_;
    return execution;
  }
  return nullptr;
}

void DeliveryQueue::finish(const Execution& execution) {
  assert(running_ > 0 && outstanding_[execution.thread] > 0);
  --running_;
  --outstanding_[execution.thread];
  for (const Assigned& assigned : execution.deliveries) close_one(assigned.lot);

  TaskQueue* queue = find(execution.task);
  if (queue == nullptr || execution.deliveries.empty()) return;
  const auto count = static_cast<double>(execution.deliveries.size());
  const double mean_ns = std::max(static_cast<double>(execution.handle_time.count()) / count, 1.0);
  // Quick to believe that handling has become slower, slower to believe the opposite.
  const double weight = mean_ns > queue->mean_ns ? 0.5 : std::min(0.5, 0.05 + count / 256);
  queue->mean_ns =
      queue->mean_ns == 0 ? mean_ns : queue->mean_ns + weight * (mean_ns - queue->mean_ns);
}

void DeliveryQueue::recycle(std::unique_ptr<Execution> execution) {
  execution->clear();
  spare_.push_back(std::move(execution));
}

void DeliveryQueue::take_all(std::vector<Waiting>& waiting) {
  for (TaskQueue& queue : tasks_) {
    for (std::deque<Ref>& lane : queue.lanes) {
      for (const Ref& ref : lane) {
        const Lot& lot = lots_[ref.lot];
        waiting.push_back({lot.session, lot.deliveries.items[ref.item].id, queue.task.id});
        close_one(ref.lot);
      }
      lane.clear();
    }
  }
  queued_ = 0;
}

std::size_t DeliveryQueue::drop(const SessionRef& session) {
  std::size_t dropped = 0;
  for (TaskQueue& queue : tasks_) {
    for (std::deque<Ref>& lane : queue.lanes) {
      dropped += std::erase_if(lane, [&](const Ref& ref) {
        if (lots_[ref.lot].session != session) return false;
        close_one(ref.lot);
        return true;
      });
    }
  }
  queued_ -= dropped;
  return dropped;
}

std::size_t DeliveryQueue::queued(TaskId task) const {
  const TaskQueue* queue = find(task);
  if (queue == nullptr) return 0;
  std::size_t count = 0;
  for (const auto& lane : queue->lanes) count += lane.size();
  return count;
}

std::size_t DeliveryQueue::busy_threads() const {
  return static_cast<std::size_t>(std::count_if(outstanding_.begin(), outstanding_.end(),
                                                [](auto count) { return count > 0; }));
}

}  // namespace tempest::task_node
