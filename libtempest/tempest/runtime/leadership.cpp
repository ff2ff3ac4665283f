#include "tempest/runtime/leadership.hpp"

#include <algorithm>

#include "tempest/runtime/clock.hpp"

namespace tempest::runtime {

namespace {

/// After so many looks without a loan the loop's own thread sleeps until there is one.
constexpr int kLooksBeforeSleep = 20;

}  // namespace

Leadership::Token Leadership::lend(TimePoint now) {
  const Token token = std::max<Token>(last_token_.load(std::memory_order_relaxed) + 1,
                                      now.time_since_epoch().count());
  last_token_.store(token, std::memory_order_relaxed);
  // Not relaxed: either this loan is seen by the last look before sleep, or the sleep is seen here.
  lent_.store(token, std::memory_order_seq_cst);
  if (is_asleep_.load(std::memory_order_seq_cst)) {
    const std::lock_guard lock(mutex_);
    is_asleep_.store(false, std::memory_order_relaxed);
    changed_.notify_one();
  }
  return token;
}

bool Leadership::take_back(Token token) {
  return lent_.compare_exchange_strong(token, 0, std::memory_order_acq_rel);
}

void Leadership::give_back() {
  const std::lock_guard lock(mutex_);
  is_given_back_ = true;
  is_asleep_.store(false, std::memory_order_relaxed);
  changed_.notify_one();
}

bool Leadership::take_over(TimePoint now) {
  Token token = lent_.load(std::memory_order_acquire);
  return token != 0 && now.time_since_epoch().count() - token >= kPatience.count() &&
         take_back(token);
}

void Leadership::wait_to_lead() {
  std::unique_lock lock(mutex_);
  Token last_token = last_token_.load(std::memory_order_relaxed);
  int looks = 0;
  while (true) {
    if (is_given_back_) {
      is_given_back_ = false;
      return;
    }
    if (take_over(monotonic_now())) return;
    const Token token = last_token_.load(std::memory_order_relaxed);
    if (token != last_token) looks = 0;
    last_token = token;
    if (++looks <= kLooksBeforeSleep || lent_.load(std::memory_order_relaxed) != 0) {
      changed_.wait_for(lock, kPatience);
      continue;
    }
    is_asleep_.store(true, std::memory_order_seq_cst);
    if (lent_.load(std::memory_order_seq_cst) == 0) {
      changed_.wait(lock, [this] { return !is_asleep_.load(std::memory_order_relaxed); });
    }
    is_asleep_.store(false, std::memory_order_relaxed);
    looks = 0;
  }
}

}  // namespace tempest::runtime
