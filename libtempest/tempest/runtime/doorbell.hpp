#pragma once

#include <atomic>
#include <cstdint>

#include "tempest/runtime/poller.hpp"

namespace tempest::runtime {

/// Wakes one thread that sleeps on a descriptor, from any other. While that thread is awake, a ring
/// costs an exchange of one word and no system call.
///
///     sleeper                                    others
///     prepare_to_sleep()                         make something known
///     look whether anything has come; if not,    ring()
///     wait for descriptor()
///     wake_up(), and ready() if it was readable
///
/// Nothing is missed: prepare_to_sleep() and ring() exchange the same word, so either the ring
/// comes first, and what was made known before is seen by the look, or it finds the sleeper asleep.
class Doorbell final : public Watcher {
 public:
  /// Throws std::runtime_error if no descriptor is left.
  Doorbell();
  ~Doorbell();
  Doorbell(const Doorbell&) = delete;
  Doorbell& operator=(const Doorbell&) = delete;

  /// Becomes readable when somebody rings and the sleeper sleeps.
  int descriptor() const { return descriptor_; }

  void prepare_to_sleep() { asleep_.exchange(true, std::memory_order_acq_rel); }
  void wake_up() { asleep_.exchange(false, std::memory_order_acq_rel); }
  /// Takes the rings.
  void ready(std::uint32_t events, Turn& turn) override;

  /// From any thread.
  void ring() {
    if (asleep_.exchange(false, std::memory_order_acq_rel)) write();
  }
  /// From a signal's handler, too: wakes whether or not anybody sleeps.
  void ring_always() { write(); }

 private:
  void write() const;

  int descriptor_;
  std::atomic<bool> asleep_{false};
};

}  // namespace tempest::runtime
