#pragma once

#include <cstdint>

#include "tempest/tracking/delivery_table.hpp"

namespace tempest::tracking {

/// Deliveries that wait for a worker, first come, first served. What has been out at a worker and
/// has come back stands before what has not: with grouping = "key" in the order in which it was
/// sent, which keeps a key's messages in order while workers come and go.
class WaitingLine {
 public:
  bool empty() const { return list_.empty(); }
  std::uint32_t size() const { return list_.size; }
  /// The one that is sent next; kNowhere if there is none.
  std::uint32_t front() const { return list_.head; }

  /// A detached delivery becomes ready, behind all.
  void push_back(DeliveryTable& table, std::uint32_t delivery) {
    table.push_back(list_, delivery, DeliveryState::ready);
  }
  /// The same for one that has come back, behind all others that have.
  void push_returned(DeliveryTable& table, std::uint32_t delivery);
  /// The same, in the order in which those that have come back were sent: in as many steps as there
  /// are that were sent later.
  void push_returned_in_order(DeliveryTable& table, std::uint32_t delivery);
  /// The first are sent, as long as `take(delivery, slot)` is true: they are in flight then, at the
  /// end of that list. Should one come back, it stands before all that is left here.
  template <typename Take>
  void send_front(DeliveryTable& table, DeliveryList& in_flight, Take take) {
    table.move_front(list_, in_flight, DeliveryState::in_flight, take);
    last_returned_ = kNowhere;
  }
  /// Ready becomes detached.
  void remove(DeliveryTable& table, std::uint32_t delivery);

 private:
  DeliveryList list_;
  /// The end of those at the front that have come back since the last was sent; kNowhere if there
  /// are none.
  std::uint32_t last_returned_ = kNowhere;
};

}  // namespace tempest::tracking
