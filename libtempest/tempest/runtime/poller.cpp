#include "tempest/runtime/poller.hpp"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <ctime>
#include <stdexcept>
#include <utility>

namespace tempest::runtime {

namespace {

epoll_event wish(Watcher* watcher, bool for_writing) {
  epoll_event event{};
  event.events = EPOLLIN;
  if (for_writing) event.events |= EPOLLOUT;
  event.data.ptr = watcher;
  return event;
}

}  // namespace

Poller::Poller() : descriptor_(::epoll_create1(EPOLL_CLOEXEC)) {
  if (descriptor_ < 0) throw std::runtime_error("no file descriptor left for a node's sockets");
}

Poller::~Poller() {
  ::close(descriptor_);
}

void Poller::add(int descriptor, Watcher* watcher, bool for_writing) {
  epoll_event event = wish(watcher, for_writing);
  if (::epoll_ctl(descriptor_, EPOLL_CTL_ADD, descriptor, &event) == 0) ++watched_;
}

void Poller::change(int descriptor, Watcher* watcher, bool for_writing) {
  epoll_event event = wish(watcher, for_writing);
  ::epoll_ctl(descriptor_, EPOLL_CTL_MOD, descriptor, &event);
}

void Poller::remove(int descriptor, const Watcher* watcher) {
  if (::epoll_ctl(descriptor_, EPOLL_CTL_DEL, descriptor, nullptr) == 0) --watched_;
  for (std::size_t i = 0; i < ready_; ++i) {
    if (events_[i].data.ptr == watcher) events_[i].data.ptr = nullptr;
  }
}

void Poller::wait(Duration timeout) {
  const int count = wait_until_ready(std::max(timeout, Duration::zero()));
  ready_ = static_cast<std::size_t>(std::max(count, 0));
  may_have_more_ = count < 0 || ready_ == kMostReady;
}

int Poller::wait_until_ready(Duration timeout) {
  const auto most = static_cast<int>(events_.size());
  // Before Linux 5.11 times are rounded up to milliseconds.
  static std::atomic<bool> is_exact{true};
  if (is_exact.load(std::memory_order_relaxed)) {
    const auto seconds = std::chrono::floor<std::chrono::seconds>(timeout);
    const timespec exact{seconds.count(), (timeout - seconds).count()};
    const int count = ::epoll_pwait2(descriptor_, events_.data(), most, &exact, nullptr);
    if (count >= 0 || errno != ENOSYS) return count;
    is_exact.store(false, std::memory_order_relaxed);
  }
  const auto timeout_ms = std::chrono::ceil<std::chrono::milliseconds>(timeout).count();
  return ::epoll_wait(descriptor_, events_.data(), most, static_cast<int>(timeout_ms));
}

void Poller::dispatch(Turn& turn) {
  for (std::size_t i = 0; i < ready_; ++i) {
    auto* watcher = static_cast<Watcher*>(events_[i].data.ptr);
    if (watcher != nullptr) watcher->ready(events_[i].events, turn);
  }
  ready_ = 0;
}

}  // namespace tempest::runtime
