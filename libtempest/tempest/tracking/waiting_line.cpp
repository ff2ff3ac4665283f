#include "tempest/tracking/waiting_line.hpp"

namespace tempest::tracking {

void WaitingLine::push_returned(DeliveryTable& table, std::uint32_t delivery) {
  if (last_returned_ == kNowhere) {
    table.push_front(list_, delivery, DeliveryState::ready);
  } else {
    table.insert_after(list_, last_returned_, delivery, DeliveryState::ready);
  }
  last_returned_ = delivery;
}

void WaitingLine::push_returned_in_order(DeliveryTable& table, std::uint32_t delivery) {
  std::uint32_t before = last_returned_;
  while (before != kNowhere && was_sent_after(table.at(before), table.at(delivery))) {
    before = table.at(before).previous;
  }
  if (before == last_returned_) return push_returned(table, delivery);
  if (before == kNowhere) {
    table.push_front(list_, delivery, DeliveryState::ready);
  } else {
    table.insert_after(list_, before, delivery, DeliveryState::ready);
  }
}

void WaitingLine::remove(DeliveryTable& table, std::uint32_t delivery) {
  if (last_returned_ == delivery) last_returned_ = table.at(delivery).previous;
  table.remove(list_, delivery);
}

}  // namespace tempest::tracking
