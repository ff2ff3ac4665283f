#include "task_node/delivery_queue.hpp"

#include <algorithm>
#include <cassert>
#include <map>
#include <span>
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
/// A thread that has been at one batch for longer than this is not waited for: it may hang.
constexpr Duration kLongRun = std::chrono::seconds(1);
/// Nothing goes back that has waited for less, or for less than four times what it was to take.
constexpr Duration kShortestWait = std::chrono::milliseconds(500);
/// Lots with room for more than this give it back.
constexpr std::size_t kKeptItems = 8'192;

std::size_t count_in(double span_ns, double mean_ns) {
  if (mean_ns <= 0) return 1;
  const double count = span_ns / mean_ns;
  if (count >= static_cast<double>(kLargestBatch)) return kLargestBatch;
  return std::max<std::size_t>(static_cast<std::size_t>(count), 1);
}

}  // namespace

DeliveryQueue::DeliveryQueue(std::size_t threads) : threads_(threads) {
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
  for (Thread& thread : threads_) thread.cursor = 0;
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
  frame_bytes_ -= lot.frame.size();
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
  frame_bytes_ += frame.size();
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
    queue->lanes[lane].push_back({index, static_cast<std::uint32_t>(i), 0});
    ++lot.open;
    ++queued_;
    if (item.alone) ++alone_;
  }
  close_one(index);
  if (frame_bytes_ > repack_at_) repack();
  return {};
}

void DeliveryQueue::repack() {
  std::map<std::uint32_t, std::vector<Ref*>> waiting;
  for (TaskQueue& queue : tasks_) {
    for (std::deque<Ref>& lane : queue.lanes) {
      for (Ref& ref : lane) waiting[ref.lot].push_back(&ref);
    }
  }
  for (const auto& [lot, refs] : waiting) move_out(lot, refs);
  repack_at_ = std::max(kLeastRepackBytes, 2 * frame_bytes_);
}

void DeliveryQueue::move_out(std::uint32_t from, const std::vector<Ref*>& refs) {
  const auto parts_of = [&](const Ref& ref) {
    const wire::Deliveries& deliveries = lots_[from].deliveries;
    const wire::Deliveries::Item& item = deliveries.items[ref.item];
    return std::span(&deliveries.parts[item.first_part], item.part_count);
  };
  std::size_t bytes = 0;
  for (const Ref* ref : refs) {
    for (const wire::Deliveries::Part& part : parts_of(*ref)) {
      bytes += part.key.size() + part.payload.size();
    }
  }
  if (bytes > lots_[from].frame.size() / 2) return;
  std::string copy;
  copy.reserve(bytes);
  for (const Ref* ref : refs) {
    for (const wire::Deliveries::Part& part : parts_of(*ref)) {
      copy.append(part.key).append(part.payload);
    }
  }
  const std::uint32_t to = take_lot();
  Lot& lot = lots_[to];
  lot.frame = SharedBytes(std::move(copy));
  lot.session = lots_[from].session;
  lot.received_at = lots_[from].received_at;
  lot.open = refs.size();
  lot.deliveries.items.clear();
  lot.deliveries.parts.clear();
  frame_bytes_ += lot.frame.size();
  std::string_view left = lot.frame.view();
  const auto take = [&](std::size_t size) {
    const std::string_view taken = left.substr(0, size);
    left.remove_prefix(size);
    return taken;
  };
  for (Ref* ref : refs) {
    wire::Deliveries::Item item = lots_[from].deliveries.items[ref->item];
    const auto first_part = static_cast<std::uint32_t>(lot.deliveries.parts.size());
    for (const wire::Deliveries::Part& part : parts_of(*ref)) {
      const std::string_view key = take(part.key.size());
      lot.deliveries.parts.push_back({part.edge, key, take(part.payload.size())});
    }
    item.first_part = first_part;
    ref->lot = to;
    ref->item = static_cast<std::uint32_t>(lot.deliveries.items.size()) & 0x7fffffffU;
    lot.deliveries.items.push_back(item);
    close_one(from);
  }
}

void DeliveryQueue::assign(TimePoint now, std::vector<std::unique_ptr<Execution>>& executions) {
  if (queued_ == 0 || announced_ || unsettled_) return;
  if (trial_thread_ && !runs_long(threads_[*trial_thread_], now)) return;
  trial_thread_.reset();
  const bool trial_is_due = find_trial(now).has_value();
  for (std::size_t round = 0; round < kMostOutstanding; ++round) {
    for (std::size_t number = 0; number < threads_.size(); ++number) {
      Thread& thread = threads_[number];
      if (thread.has.size() != round || (trial_is_due && !thread.may_go_on)) continue;
      if (thread.is_lost || (round > 0 && thread.has.front().is_sealed)) continue;
      auto execution = next(number, now);
      if (execution == nullptr) continue;
      if (trial_is_due) thread.may_go_on = false;
      executions.push_back(std::move(execution));
    }
  }
}

bool DeliveryQueue::runs_long(const Thread& thread, TimePoint now) {
  return !thread.has.empty() && now - thread.since >= kLongRun;
}

std::optional<DeliveryQueue::Trial> DeliveryQueue::find_trial(TimePoint now) const {
  if (alone_ == 0) return std::nullopt;
  const auto idle = std::find_if(threads_.begin(), threads_.end(), [](const Thread& thread) {
    return thread.has.empty() && !thread.is_lost;
  });
  const auto any = static_cast<std::size_t>((idle == threads_.end() ? threads_.begin() : idle) -
                                            threads_.begin());
  for (std::size_t queue = 0; queue < tasks_.size(); ++queue) {
    for (std::size_t lane = 0; lane < tasks_[queue].lanes.size(); ++lane) {
      const std::deque<Ref>& waiting = tasks_[queue].lanes[lane];
      if (waiting.empty() || !is_alone(waiting.front())) continue;
      const std::size_t thread = tasks_[queue].task.by_key ? lane : any;
      if (!runs_long(threads_[thread], now) && !threads_[thread].is_lost) {
        return Trial{queue, lane, thread};
      }
    }
  }
  return std::nullopt;
}

DeliveryQueue::Waiting DeliveryQueue::waiting_at(const Trial& trial) const {
  const TaskQueue& queue = tasks_[trial.queue];
  const Ref ref = queue.lanes[trial.lane].front();
  const Lot& lot = lots_[ref.lot];
  return {lot.session, lot.deliveries.items[ref.item].id, queue.task.id};
}

std::optional<DeliveryQueue::Waiting> DeliveryQueue::announce_trial(TimePoint now) {
  if (announced_ || alone_ == 0 || others_go_first()) return std::nullopt;
  const bool nothing_runs = std::all_of(
      threads_.begin(), threads_.end(),
      [now](const Thread& thread) { return thread.has.empty() || runs_long(thread, now); });
  if (!nothing_runs) return std::nullopt;
  announced_ = find_trial(now);
  return announced_trial();
}

std::optional<DeliveryQueue::Waiting> DeliveryQueue::announced_trial() const {
  if (!announced_) return std::nullopt;
  return waiting_at(*announced_);
}

TimePoint DeliveryQueue::next_trial() const {
  if (alone_ == 0 && !(trial_thread_ && queued_ > 0)) return kNever;
  // A confirmation is waited for, and no time.
  if (announced_ || others_go_first()) return kNever;
  TimePoint last = TimePoint::min();
  for (const Thread& thread : threads_) {
    if (!thread.has.empty()) last = std::max(last, thread.since + kLongRun);
  }
  if (last == TimePoint::min()) return kNever;
  return trial_thread_ || find_trial(last) ? last : kNever;
}

std::unique_ptr<Execution> DeliveryQueue::start_trial(TimePoint now) {
  assert(announced_ && !unsettled_ && threads_[announced_->thread].has.empty());
  const Trial trial = *announced_;
  announced_.reset();
  trial_thread_ = trial.thread;
  --alone_;
  for (Thread& thread : threads_) thread.may_go_on = true;
  TaskQueue& queue = tasks_[trial.queue];
  return take(trial.thread, queue, queue.lanes[trial.lane], 1, now);
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

std::unique_ptr<Execution> DeliveryQueue::next(std::size_t number, TimePoint now) {
  Thread& thread = threads_[number];
  for (std::size_t step = 0; step < tasks_.size(); ++step) {
    const std::size_t index = (thread.cursor + step) % tasks_.size();
    TaskQueue& queue = tasks_[index];
    std::deque<Ref>& lane = queue.lanes[queue.task.by_key ? number : 0];
    if (lane.empty() || (alone_ > 0 && is_alone(lane.front()))) continue;
    // Behind what has hung before nothing else is to wait, nor that behind anything.
    if (!thread.has.empty() &&
        (is_single(lane.front()) || !worth_waiting_at_thread(queue, lane.size()))) {
      continue;
    }
    thread.cursor = index + 1;
    return take(number, queue, lane, batch_size(queue, lane.size()), now);
  }
  return nullptr;
}

/// Takes the first `size` of the lane, or as many as come before one that is to run by itself.
std::unique_ptr<Execution> DeliveryQueue::take(std::size_t number, TaskQueue& queue,
                                               std::deque<Ref>& lane, std::size_t size,
                                               TimePoint now) {
  std::unique_ptr<Execution> execution;
  if (spare_.empty()) {
    execution = std::make_unique<Execution>();
  } else {
    execution = std::move(spare_.back());
    spare_.pop_back();
  }
  execution->thread = number;
  execution->task = queue.task.id;
  for (std::size_t i = 0; i < size; ++i) {
    const Ref ref = lane.front();
    const bool is_single = this->is_single(ref);
    if (i > 0 && (is_single || (alone_ > 0 && is_alone(ref)))) break;
    lane.pop_front();
    const wire::Deliveries& deliveries = lots_[ref.lot].deliveries;
    const wire::Deliveries::Item& item = deliveries.items[ref.item];
    execution->traced |= item.traced;
    execution->deliveries.push_back({&item, &deliveries.parts[item.first_part], ref.lot});
    if (is_single) break;
  }
  const std::size_t count = execution->deliveries.size();
  execution->expected_time =
      Duration(static_cast<std::int64_t>(static_cast<double>(count) * queue.mean_ns));
  queued_ -= count;
  Thread& thread = threads_[number];
  thread.has.push_back({.execution = execution.get(),
                        .task = queue.task.id,
                        .range = {0, count},
                        .is_single_call = count == 1 || count <= queue.task.max_batch});
  if (thread.has.size() == 1) {
    thread.since = now;
    begin_call(thread);
  }
  ++running_;
  return execution;
}

// --- What has come back --------------------------------------------------------------------------

void DeliveryQueue::begin_call(Thread& thread) {
  thread.call_since = thread.has.empty() ? kNever : clock_.now();
  thread.extended_to = {};
}

DeliveryQueue::Finished DeliveryQueue::finish(const Execution& execution, TimePoint now) {
  const auto given_up = std::find_if(given_up_.begin(), given_up_.end(), [&](const GivenUp& one) {
    return one.execution == &execution;
  });
  if (given_up != given_up_.end()) {
    const Finished finished{given_up->range, given_up->is_call, !given_up->is_call, {}};
    given_up_.erase(given_up);
    if (finished.was_given_up) threads_[execution.thread].is_lost = false;
    return finished;
  }
  Thread& thread = threads_[execution.thread];
  const auto held = std::find_if(thread.has.begin(), thread.has.end(),
                                 [&](const Held& one) { return one.execution == &execution; });
  assert(running_ > 0 && held != thread.has.end());
  Finished finished{held->range, false, false, {}};
  finished.range.end = std::max(held->range.first, std::min(held->range.end, execution.begun()));
  if (held->is_single_call && !served(held->task).is_sink) {
    finished.last_call = clock_.now() - thread.call_since;
  }
  --running_;
  // Its thread has begun no more of it, since the outputs of what it has were very large.
  const Range rest{finished.range.end, held->is_sealed ? finished.range.end : held->range.end};
  thread.has.erase(held);
  if (rest.first < rest.end) put_back(execution, rest, false);
  if (trial_thread_ == execution.thread) {
    trial_thread_.reset();
    unsettled_ = session_of(execution.deliveries.front());
  }
  thread.since = thread.has.empty() ? kNever : now;
  begin_call(thread);

  TaskQueue* queue = find(execution.task);
  const std::size_t begun = execution.begun();
  if (queue == nullptr || begun == 0) return finished;
  const auto count = static_cast<double>(begun);
  const double mean_ns = std::max(static_cast<double>(execution.handle_time.count()) / count, 1.0);
  // Quick to believe that handling has become slower, slower to believe the opposite.
  const double weight = mean_ns > queue->mean_ns ? 0.5 : std::min(0.5, 0.05 + count / 256);
  queue->mean_ns =
      queue->mean_ns == 0 ? mean_ns : queue->mean_ns + weight * (mean_ns - queue->mean_ns);
  return finished;
}

void DeliveryQueue::close(const Execution& execution, const Range& range) {
  for (std::size_t i = 0; i < range.end; ++i) close_one(execution.deliveries[i].lot);
}

void DeliveryQueue::recycle(std::unique_ptr<Execution> execution) {
  execution->clear();
  spare_.push_back(std::move(execution));
}

TimePoint DeliveryQueue::late_at(const TaskQueue& queue) const {
  const std::deque<Ref>& lane = queue.lanes.front();
  if (lane.empty() || !may_go_back(queue, lane.front())) return kNever;
  const Duration usual = Duration(static_cast<std::int64_t>(4 * queue.mean_ns));
  return lots_[lane.front().lot].received_at + std::max(usual, kShortestWait);
}

void DeliveryQueue::send_back(TaskQueue& queue, const Ref& ref, std::vector<Waiting>& waiting) {
  const Lot& lot = lots_[ref.lot];
  waiting.push_back({lot.session, lot.deliveries.items[ref.item].id, queue.task.id});
  --queued_;
  close_one(ref.lot);
}

void DeliveryQueue::take_late(TimePoint now, std::size_t most, std::vector<Waiting>& waiting) {
  for (TaskQueue& queue : tasks_) {
    std::deque<Ref>& lane = queue.lanes.front();
    while (late_at(queue) <= now) {
      const Ref ref = lane.front();
      lane.pop_front();
      send_back(queue, ref, waiting);
    }
    // The newest: what has waited longest is next here.
    while (queued_ > most && !lane.empty() && may_go_back(queue, lane.back())) {
      const Ref ref = lane.back();
      lane.pop_back();
      send_back(queue, ref, waiting);
    }
  }
}

TimePoint DeliveryQueue::next_late() const {
  TimePoint next = kNever;
  for (const TaskQueue& queue : tasks_) next = std::min(next, late_at(queue));
  return next;
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
  alone_ = 0;
  announced_.reset();
}

std::size_t DeliveryQueue::drop(const SessionRef& session) {
  if (announced_ && waiting_at(*announced_).session == session) announced_.reset();
  std::size_t dropped = 0;
  for (TaskQueue& queue : tasks_) {
    for (std::deque<Ref>& lane : queue.lanes) {
      dropped += std::erase_if(lane, [&](const Ref& ref) {
        if (lots_[ref.lot].session != session) return false;
        if (is_alone(ref)) --alone_;
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
  return static_cast<std::size_t>(std::count_if(
      threads_.begin(), threads_.end(), [](const Thread& thread) { return !thread.has.empty(); }));
}

DeliveryQueue::LongestRun DeliveryQueue::longest_run() const {
  LongestRun longest;
  for (const Thread& thread : threads_) {
    if (!thread.has.empty() && thread.since < longest.since) {
      longest = {thread.has.front().task, thread.since};
    }
  }
  return longest;
}

}  // namespace tempest::task_node
