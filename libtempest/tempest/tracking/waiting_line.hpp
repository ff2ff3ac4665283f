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
  void push_back(DeliveryTable& table, std::uint32_t delivery);
  /// The same for one that has come back, behind all others that have.
  void push_returned(DeliveryTable& table, std::uint32_t delivery);
  /// The same, in the order in which those that have come back were sent: in as many steps as there
  /// are that were sent later.
  void push_returned_in_order(DeliveryTable& table, std::uint32_t delivery);
  /// The first is taken to be sent, and is detached: should it come back, it stands before all
  /// that is left here.
  std::uint32_t take_front(DeliveryTable& table);
  /// Ready becomes detached.
  void remove(DeliveryTable& table, std::uint32_t delivery);

 private:
  DeliveryList list_;
  /// The end of those at the front that have come back since the last was sent; kNowhere if there
  /// are none.
  std::uint32_t last_returned_ = kNowhere;
};

}  // namespace tempest::tracking
