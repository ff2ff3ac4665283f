#include "tempest/runtime/inproc.hpp"

#include <utility>

#include "tempest/runtime/transport.hpp"

namespace tempest::runtime {

bool InprocLane::send(SharedBytes frame) {
  {
    const std::lock_guard lock(mutex_);
    if (closed_ || frames_.size() >= kMaxQueuedFrames) return false;
    frames_.push_back(std::move(frame));
    has_news_.store(true, std::memory_order_release);
  }
  receiver_->ring();
  return true;
}

void InprocLane::receive(std::vector<SharedBytes>& frames) {
  frames.clear();
  const std::lock_guard lock(mutex_);
  frames.swap(frames_);
  // The end stays to be seen until whoever receives lets go of it.
  has_news_.store(closed_, std::memory_order_release);
}

bool InprocLane::is_closed() const {
  const std::lock_guard lock(mutex_);
  return closed_;
}

void InprocLane::close() {
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    has_news_.store(true, std::memory_order_release);
  }
  receiver_->ring();
}

void InprocEnd::close() {
  if (out_) out_->close();
  if (in_) in_->close();
}

std::vector<InprocListener::Accepted> InprocListener::accept() {
  const std::lock_guard lock(mutex_);
  has_news_.store(false, std::memory_order_release);
  return std::exchange(waiting_, {});
}

InprocEnd InprocListener::connect(const std::string& routing_id,
                                  std::shared_ptr<Doorbell> doorbell) {
  auto to_listener = std::make_shared<InprocLane>(doorbell_);
  auto to_caller = std::make_shared<InprocLane>(std::move(doorbell));
  {
    const std::lock_guard lock(mutex_);
    waiting_.push_back({routing_id, InprocEnd(to_caller, to_listener)});
    has_news_.store(true, std::memory_order_release);
  }
  doorbell_->ring();
  return {std::move(to_listener), std::move(to_caller)};
}

Result<std::shared_ptr<InprocListener>> InprocHub::listen(const std::string& name,
                                                          std::shared_ptr<Doorbell> doorbell) {
  const std::lock_guard lock(mutex_);
  std::weak_ptr<InprocListener>& place = listeners_[name];
  if (!place.expired()) {
    return Error{ErrorCode::unavailable, "the name inproc://" + name + " is taken"};
  }
  auto listener = std::make_shared<InprocListener>(std::move(doorbell));
  place = listener;
  return listener;
}

std::optional<InprocEnd> InprocHub::connect(const std::string& name, const std::string& routing_id,
                                            std::shared_ptr<Doorbell> doorbell) {
  std::shared_ptr<InprocListener> listener;
  {
    const std::lock_guard lock(mutex_);
    const auto found = listeners_.find(name);
    if (found != listeners_.end()) listener = found->second.lock();
  }
  if (!listener) return std::nullopt;
  return listener->connect(routing_id, std::move(doorbell));
}

}  // namespace tempest::runtime
