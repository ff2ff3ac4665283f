#include "tempest/tracking/delivery_table.hpp"

#include <cassert>

namespace tempest::tracking {

void DeliveryTable::push_front(DeliveryList& list, std::uint32_t slot, DeliveryState state) {
  Delivery& delivery = slab_.at(slot);
  assert(delivery.state == DeliveryState::detached);
  delivery.state = state;
  delivery.previous = kNowhere;
  delivery.next = list.head;
  (list.head == kNowhere ? list.tail : slab_.at(list.head).previous) = slot;
  list.head = slot;
  ++list.size;
}

void DeliveryTable::insert_after(DeliveryList& list, std::uint32_t before, std::uint32_t slot,
                                 DeliveryState state) {
  Delivery& delivery = slab_.at(slot);
  assert(delivery.state == DeliveryState::detached && slab_.at(before).state == state);
  delivery.state = state;
  delivery.previous = before;
  delivery.next = slab_.at(before).next;
  (delivery.next == kNowhere ? list.tail : slab_.at(delivery.next).previous) = slot;
  slab_.at(before).next = slot;
  ++list.size;
}

}  // namespace tempest::tracking
