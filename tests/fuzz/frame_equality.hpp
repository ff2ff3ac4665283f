#pragma once

#include <bit>
#include <cstdint>
#include <tuple>
#include <vector>

#include "tempest/wire/frames.hpp"

/// Whether two frames say the same, field by field. Numbers are compared by their bits, so that a
/// NaN equals itself.
namespace tempest::wire {

inline auto fields(const Hello& f) {
  return std::tie(f.protocol, f.hello, f.role, f.name, f.incarnation, f.topology, f.lease_ms);
}
inline auto fields(const Welcome& f) {
  return std::tie(f.protocol, f.hello, f.session, f.role, f.name, f.incarnation, f.lease_ms);
}
inline auto fields(const Heartbeat& f) {
  return std::tie(f.session, f.ack, f.missing);
}
inline auto fields(const Reset& f) {
  return std::tie(f.session);
}
inline auto fields(const Bye& f) {
  return std::tie(f.session, f.reason);
}
inline auto fields(const Registration& f) {
  return std::tie(f.endpoint, f.topology_version, f.topology_text, f.tasks, f.state,
                  f.slots_revision, f.age_ms);
}
inline auto fields(const Directory::Coordinator& f) {
  return std::tie(f.name, f.incarnation, f.endpoint, f.topology_version);
}
inline auto fields(const Directory::Worker& f) {
  return std::tie(f.name, f.incarnation, f.tasks, f.absences);
}
inline auto fields(const Directory::Held& f) {
  return std::tie(f.coordinator, f.task, f.slots);
}
inline auto fields(const SlotSettlement::Held& f) {
  return std::tie(f.task, f.slots);
}
inline auto fields(const SlotSettlement::Missing& f) {
  return std::tie(f.name, f.incarnation);
}
inline auto fields(const Watch& f) {
  return std::tie(f.id, f.kind, f.topology, f.task, f.side, f.every, f.per_second, f.max_bytes,
                  f.text, f.message);
}
inline auto fields(const Directory& f) {
  return std::tie(f.revision, f.topology, f.topology_version, f.topology_text, f.coordinators,
                  f.workers, f.slots_revision, f.slots_settled, f.watches, f.held);
}
inline auto fields(const SlotSettlement& f) {
  return std::tie(f.slots_revision, f.held, f.attached, f.missing);
}
inline auto fields(const Query& f) {
  return std::tie(f.id, f.what, f.topology);
}
inline auto fields(const Snapshot::Node& f) {
  return std::tie(f.role, f.name, f.incarnation, f.topology, f.topology_version, f.endpoint,
                  f.tasks, f.state, f.age_ms);
}
inline auto fields(const Snapshot& f) {
  return std::tie(f.id, f.nodes);
}
inline auto fields(const Attach& f) {
  return std::tie(f.topology_version, f.tasks, f.window_messages, f.window_bytes, f.window_batch);
}
inline auto fields(const Window& f) {
  return std::tie(f.messages, f.bytes, f.batch);
}
inline auto fields(const Messages::Item& f) {
  return std::tie(f.id, f.key, f.payload);
}
inline auto fields(const Messages::Traced& f) {
  return std::tie(f.item, f.message);
}
inline auto fields(const Messages& f) {
  return std::tie(f.items, f.traced);
}
inline auto fields(const Outcomes::Failed& f) {
  return std::tie(f.id, f.kind, f.task, f.attempts, f.worker, f.reason, f.payload, f.retries);
}
inline auto fields(const Outcomes& f) {
  return std::tie(f.acked, f.failed, f.returned);
}
inline auto fields(const Deliveries::Part& f) {
  return std::tie(f.edge, f.key, f.payload);
}
inline auto fields(const Deliveries::Item& f) {
  return std::tie(f.alone, f.traced, f.id, f.task, f.attempt, f.first_part, f.part_count);
}
inline auto fields(const Deliveries& f) {
  return std::tie(f.items, f.parts);
}
inline auto fields(const Results::Output& f) {
  return std::tie(f.output, f.key, f.payload);
}
inline auto fields(const Results::Item& f) {
  return std::tie(f.id, f.status, f.reason, f.retry_after_ms, f.first_output, f.output_count,
                  f.handled_us);
}
inline auto fields(const Results& f) {
  return std::tie(f.items, f.outputs);
}
inline auto fields(const StatsReport::Label& f) {
  return std::tie(f.name, f.value);
}
inline auto fields(const StatsReport::Number& f) {
  return std::tie(f.name, f.labels, f.value, f.is_counter);
}
inline auto fields(const StatsReport::Distribution& f) {
  return std::make_tuple(f.name, f.labels, f.histogram.buckets(), f.histogram.sum_ns());
}
inline auto fields(const StatsReport& f) {
  return std::tie(f.node, f.role, f.topology, f.incarnation, f.uptime_ms, f.numbers,
                  f.distributions);
}

inline auto fields(const Sighting& f) {
  return std::tie(f.message, f.kind, f.next, f.failure, f.task, f.peer, f.delivery, f.attempt,
                  f.count, f.at_us, f.waited_us, f.out_us, f.handled_us, f.again_us, f.text, f.key,
                  f.payload, f.payload_bytes);
}
inline auto fields(const Sightings& f) {
  return std::tie(f.node, f.role, f.topology, f.incarnation, f.sequence, f.seen, f.left_out,
                  f.sightings);
}

template <typename Frame>
concept HasFields = requires(const Frame& frame) {
  fields(frame);
};

template <typename Value>
bool same(const Value& left, const Value& right) {
  return left == right;
}
inline bool same(double left, double right) {
  return std::bit_cast<std::uint64_t>(left) == std::bit_cast<std::uint64_t>(right);
}
template <HasFields Frame>
bool same(const Frame& left, const Frame& right);
template <typename Value>
bool same(const std::vector<Value>& left, const std::vector<Value>& right) {
  if (left.size() != right.size()) return false;
  for (std::size_t i = 0; i < left.size(); ++i) {
    if (!same(left[i], right[i])) return false;
  }
  return true;
}
template <HasFields Frame>
bool same(const Frame& left, const Frame& right) {
  return std::apply(
      [&](const auto&... of_left) {
        return std::apply([&](const auto&... of_right) { return (same(of_left, of_right) && ...); },
                          fields(right));
      },
      fields(left));
}

}  // namespace tempest::wire
