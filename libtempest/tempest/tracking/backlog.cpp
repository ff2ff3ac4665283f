#include "tempest/tracking/backlog.hpp"

#include <utility>

namespace tempest::tracking {

void Backlog::push(PeerId owner, MessageId id, const Payload& payload, TimePoint now,
                   std::uint64_t trace) {
  const std::size_t place = first_ + size_;
  if (place / std::tuple_size_v<Chunk> == chunks_.size()) {
    chunks_.push_back(std::make_unique<Chunk>());
  }
  (*chunks_.back())[place % std::tuple_size_v<Chunk>] = {id, payload};
  if (runs_.empty() || runs_.back().owner != owner || runs_.back().came != now) {
    runs_.push_back({owner, now, 0});
  }
  ++runs_.back().count;
  if (trace != 0) traced_[popped_ + size_] = trace;
  ++size_;
  size_bytes_ += payload.size_bytes();
}

Backlog::Message Backlog::pop() {
  Item& item = (*chunks_.front())[first_];
  Run& run = runs_.front();
  Message message{run.owner, item.id, std::exchange(item.payload, {}), run.came, 0};
  if (!traced_.empty() && traced_.begin()->first == popped_) {
    message.trace = traced_.begin()->second;
    traced_.erase(traced_.begin());
  }
  if (--run.count == 0) runs_.pop_front();
  ++popped_;
  --size_;
  size_bytes_ -= message.payload.size_bytes();
  if (++first_ == std::tuple_size_v<Chunk>) {
    chunks_.pop_front();
    first_ = 0;
  }
  return message;
}

std::size_t Backlog::forget(PeerId owner) {
  const std::size_t before = size_;
  Backlog kept;
  while (!empty()) {
    const Message message = pop();
    if (message.owner == owner) continue;
    kept.push(message.owner, message.id, message.payload, message.came, message.trace);
  }
  *this = std::move(kept);
  return before - size_;
}

}  // namespace tempest::tracking
