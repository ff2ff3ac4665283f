// The part of DeliveryQueue that watches calls: takes back what stands behind slow ones, and gives
// up those that exceed their time.

#include <algorithm>
#include <utility>

#include "task_node/delivery_queue.hpp"

namespace tempest::task_node {
namespace {

/// A call is slow once it has taken this much longer than four times its whole batch was to take,
/// or half of the time that it may take at all.
constexpr Duration kSlowCall = std::chrono::milliseconds(10);
/// A thread that has been at one call for this long takes no part in what the worker can take on.
constexpr Duration kLongCall = std::chrono::milliseconds(100);

}  // namespace

TimePoint DeliveryQueue::overdue_at(const Thread& thread) const {
  if (thread.has.empty()) return kNever;
  const Held& held = thread.has.front();
  const bool is_last = std::all_of(thread.has.begin() + 1, thread.has.end(), [](const Held& next) {
    return next.range.first == next.range.end;
  });
  if (!held.is_single_call || !is_last || held.range.first == held.range.end) return kNever;
  const ServedTask& task = served(held.task);
  TimePoint at = kNever;
  if (task.timeout > Duration::zero()) {
    at = std::max(thread.call_since + task.timeout, thread.extended_to);
  }
  if (task.message_timeout > Duration::zero()) {
    at = std::min(at, thread.call_since + task.message_timeout);
  }
  return at;
}

TimePoint DeliveryQueue::slow_at(const Thread& thread) const {
  if (thread.has.empty() || thread.has.back().is_sealed) return kNever;
  const Held& held = thread.has.front();
  if (held.is_single_call && thread.has.size() == 1) return kNever;
  const ServedTask& task = served(held.task);
  Duration longest = kSlowCall + held.execution->expected_time * 4;
  if (task.timeout > Duration::zero()) longest = std::min(longest, task.timeout / 2);
  if (task.message_timeout > Duration::zero())
    longest = std::min(longest, task.message_timeout / 2);
  return thread.call_since + longest;
}

DeliveryQueue::Ref DeliveryQueue::ref_of(const Assigned& assigned, bool single) const {
  const auto& items = lots_[assigned.lot].deliveries.items;
  return {assigned.lot, static_cast<std::uint32_t>(assigned.item - items.data()), single ? 1U : 0U};
}

/// Puts them in line again, before what waits, in their order.
void DeliveryQueue::put_back(const Execution& execution, const Range& range, bool single) {
  TaskQueue& queue = *find(execution.task);
  std::deque<Ref>& lane = queue.lanes[queue.task.by_key ? execution.thread : 0];
  for (std::size_t i = range.end; i > range.first; --i) {
    const Ref ref = ref_of(execution.deliveries[i - 1], single);
    if (is_alone(ref)) ++alone_;
    lane.push_front(ref);
    ++queued_;
  }
}

void DeliveryQueue::take_back_behind_slow_calls(std::vector<Done>& done) {
  for (Thread& thread : threads_) {
    if (slow_at(thread) <= clock_.now()) take_back(thread, done);
  }
}

void DeliveryQueue::take_back(Thread& thread, std::vector<Done>& done) {
  // The last first, so that what is put back stands in its order.
  for (auto held = thread.has.rbegin(); held != thread.has.rend(); ++held) {
    if (held->is_sealed) continue;
    const std::size_t begun = held->execution->seal();
    put_back(*held->execution, {begun, held->range.end}, false);
    held->range.end = begun;
    held->is_sealed = true;
    held->is_single_call = true;
    if (begun == 0) continue;
    const std::size_t most = std::max<std::size_t>(served(held->task).max_batch, 1);
    done.push_back({held->execution, {0, (begun - 1) / most * most}});
    held->range.first = done.back().range.end;
  }
  thread.call_since = clock_.now();
}

std::optional<DeliveryQueue::Overdue> DeliveryQueue::find_overdue() const {
  for (std::size_t number = 0; number < threads_.size(); ++number) {
    const Thread& thread = threads_[number];
    if (overdue_at(thread) > clock_.now()) continue;
    const ServedTask& task = served(thread.has.front().task);
    const Duration worked = clock_.now() - thread.call_since;
    return Overdue{number, task.id,
                   task.message_timeout > Duration::zero() && worked >= task.message_timeout,
                   thread.extended_to != TimePoint{}, worked};
  }
  return std::nullopt;
}

std::vector<DeliveryQueue::Waiting> DeliveryQueue::give_up(const Overdue& overdue) {
  Thread& thread = threads_[overdue.thread];
  const Held held = thread.has.front();
  abandon(thread);
  if (trial_thread_ == overdue.thread) {
    trial_thread_.reset();
    unsettled_ = session_of(held.execution->deliveries.front());
  }
  std::vector<Waiting> reported;
  const bool has_several = held.range.end - held.range.first > 1;
  for (std::size_t i = held.range.first; i < held.range.end; ++i) {
    const Assigned& assigned = held.execution->deliveries[i];
    const ServedTask& task = served(held.task);
    if (!has_several || task.is_sink) {
      reported.push_back({session_of(assigned), assigned.item->id, held.task});
    } else {
      ++lots_[assigned.lot].open;
    }
  }
  if (reported.empty()) put_back(*held.execution, held.range, true);
  return reported;
}

void DeliveryQueue::abandon(Thread& thread) {
  // Each of the frames stays until the thread comes back, since that may read it as long as it
  // runs.
  for (const Held& one : thread.has) {
    given_up_.push_back({one.execution, one.range, &one == &thread.has.front()});
  }
  running_ -= thread.has.size();
  thread.has.clear();
  thread.since = kNever;
  begin_call(thread);
}

void DeliveryQueue::give_up_all(std::vector<std::size_t>& threads) {
  for (std::size_t number = 0; number < threads_.size(); ++number) {
    Thread& thread = threads_[number];
    if (thread.has.empty()) continue;
    for (const Held& held : thread.has) static_cast<void>(held.execution->seal());
    abandon(thread);
    threads.push_back(number);
  }
  trial_thread_.reset();
  unsettled_.reset();
}

void DeliveryQueue::extend(const Extension& extension) {
  for (Thread& thread : threads_) {
    if (thread.has.empty()) continue;
    const Held& held = thread.has.front();
    for (std::size_t i = held.range.first; i < held.range.end; ++i) {
      const Assigned& assigned = held.execution->deliveries[i];
      if (assigned.lot != extension.lot || assigned.item->id != extension.id) continue;
      // It is what the thread is at, so all that comes after it can be taken back.
      thread.extended_to = std::max(thread.extended_to, clock_.now() + extension.time);
      return;
    }
  }
}

TimePoint DeliveryQueue::next_watch() const {
  TimePoint next = kNever;
  for (const Thread& thread : threads_) {
    if (thread.has.empty()) continue;
    next = std::min({next, slow_at(thread), overdue_at(thread)});
    const TimePoint long_at = thread.call_since + kLongCall;
    if (long_at > clock_.now()) next = std::min(next, long_at);
  }
  if (next == kNever) return kNever;
  return std::min(clock_.real(next), clock_.real(clock_.now()) + WorkClock::kInterval);
}

std::size_t DeliveryQueue::slow_threads() const {
  return static_cast<std::size_t>(
      std::count_if(threads_.begin(), threads_.end(), [this](const Thread& thread) {
        return thread.is_lost ||
               (!thread.has.empty() && clock_.now() - thread.call_since >= kLongCall);
      }));
}

}  // namespace tempest::task_node
