#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "tempest/wire/codec.hpp"

/// One of every frame and body there is, with something in every field: for whatever has to hold
/// of all of them.
namespace tempest::wire {

struct Sample {
  std::string name;
  std::string bytes;
  /// Whether these bytes are one of this kind.
  std::function<bool(std::string_view)> decodes;
};

inline Incarnation sample_incarnation(std::uint64_t low) {
  return {0x0011223344556677, low};
}

inline Hello sample_hello() {
  return {kProtocolVersion,      0x1122334455667788, Role::task, "worker-1",
          sample_incarnation(1), "wordcount",        3000,       "pipeline-1",
          sample_incarnation(2)};
}

inline Welcome sample_welcome() {
  return {kProtocolVersion,
          0x1122334455667788,
          0x99aabbccddeeff00,
          Role::pipeline,
          "pipeline-1",
          sample_incarnation(2),
          3000,
          "wordcount"};
}

inline Registration sample_registration() {
  return {"tcp://10.0.0.5:40123", "v1", "name = \"x\"\n", {"split", "count"}, "running", 7, 1500};
}

inline Watch sample_watch() {
  Watch watch;
  watch.id = 0x11223344;
  watch.kind = Watch::Kind::tap;
  watch.topology = "wordcount";
  watch.task = "count";
  watch.side = Watch::both;
  watch.every = 1000;
  watch.per_second = 20;
  watch.max_bytes = 256;
  watch.text = "storm";
  watch.message = "17-0";
  return watch;
}

/// The bits of slots 0 and 9.
inline std::string_view sample_slots() {
  static const std::string slots = std::string("\x01\x02") + std::string(30, '\0');
  return slots;
}

inline Directory sample_directory() {
  Directory directory;
  directory.revision = 12;
  directory.topology = "wordcount";
  directory.topology_version = "v1";
  directory.topology_text = "name = \"x\"\n";
  directory.coordinators = {{"pipeline-1", sample_incarnation(2), "tcp://10.0.0.5:40123", "v1"}};
  directory.workers = {{"worker-1", sample_incarnation(1), {"split", "count"}},
                       {"worker-2", sample_incarnation(3), {"count"}, 1}};
  directory.slots_revision = 7;
  directory.slots_settled = 6;
  directory.watches = {sample_watch()};
  directory.held = {{"pipeline-1", "count", sample_slots()}};
  return directory;
}

inline SlotSettlement sample_slot_settlement() {
  SlotSettlement settlement;
  settlement.slots_revision = 7;
  settlement.held = {{"count", sample_slots()}};
  settlement.attached = {{"worker-1", sample_incarnation(1), {"split", "count"}}};
  settlement.missing = {{"worker-2", sample_incarnation(3)}};
  return settlement;
}

inline Snapshot sample_snapshot() {
  return {3,
          {{Role::task,
            "worker-1",
            sample_incarnation(1),
            "wordcount",
            "v1",
            "",
            {"split"},
            "draining",
            60'000}}};
}

inline Messages sample_messages() {
  return {{{MessageId{5, 1}, {}, "hello"},
           {MessageId{6, 1}, {}, "world"},
           {MessageId{9, 2}, "k", "with a key"}},
          {{1, 0x1122334400000007}},
          {0, 10, 1000}};
}

inline Outcomes sample_outcomes() {
  Outcomes outcomes;
  outcomes.acked = {MessageId{5, 1}, MessageId{6, 1}, MessageId{7, 1}, MessageId{2, 2}};
  outcomes.failed = {
      {MessageId{9, 2}, FailureKind::task_timeout, "count", 5, "worker-1", "too slow", "word", 7}};
  outcomes.returned = {MessageId{10, 2}};
  return outcomes;
}

inline Deliveries sample_deliveries() {
  Deliveries deliveries;
  deliveries.items = {{DeliveryId{0, 1}, TaskId{0}, 1, 0, 1},
                      {DeliveryId{1, 1}, TaskId{2}, 3, 1, 3, true},
                      {DeliveryId{2, 1}, TaskId{0}, 1, 4, 1, false, true},
                      {DeliveryId{3, 1}, TaskId{0}, 2, 5, 1, false, false, true}};
  deliveries.parts = {{kNoEdge, {}, "hello"}, {EdgeId{1}, {}, "a"}, {EdgeId{2}, "k", "b"},
                      {kNoEdge, "k", "c"},    {kNoEdge, {}, "d"},   {kNoEdge, {}, "e"}};
  return deliveries;
}

inline Results sample_results() {
  using Status = Results::Status;
  Results results;
  results.items = {{DeliveryId{0, 1}, Status::done, {}, 0, 0, 0},
                   {DeliveryId{1, 1}, Status::done, {}, 0, 0, 0},
                   {DeliveryId{2, 1}, Status::done, {}, 0, 0, 5},
                   {DeliveryId{7, 3}, Status::retry, "try later", 250, 5, 0},
                   {DeliveryId{8, 3}, Status::fail, "no good", 0, 5, 0},
                   {DeliveryId{9, 3}, Status::returned, {}, 0, 5, 0},
                   {DeliveryId{10, 3}, Status::extended, {}, 30'000, 5, 0},
                   {DeliveryId{11, 3}, Status::done, {}, 0, 5, 0, 120},
                   {DeliveryId{12, 3}, Status::unavailable, "refused", 500, 5, 0},
                   {DeliveryId{13, 3}, Status::timed_out, "slow", 0, 5, 0, 2'000'000},
                   {DeliveryId{14, 3}, Status::tree_timed_out, "slow", 0, 5, 0}};
  results.outputs = {{{}, {}, "hello"},
                     {{}, "k", "world"},
                     {"late", {}, "!"},
                     {{}, {}, "on", EdgeId{4}},
                     {{}, {}, "bad", EdgeId{5}, 0}};
  results.failures = {{Status::retry, "not yet", 250}};
  results.fused = {{TaskId{1}, 2, 3, 1}};
  return results;
}

inline StatsReport sample_stats() {
  StatsReport report;
  report.node = "worker-1";
  report.role = Role::task;
  report.topology = "wordcount";
  report.incarnation = sample_incarnation(1);
  report.uptime_ms = 61'000;
  report.numbers = {{"tempest_handled_total", {{"task", "count"}}, 1000, true},
                    {"tempest_queued", {}, 1.5, false}};
  report.distributions = {{"tempest_handle_seconds", {{"task", "count"}}, {}}};
  report.distributions[0].histogram.record(std::chrono::microseconds(3), 2);
  return report;
}

inline Sightings sample_sightings() {
  Sightings sightings;
  sightings.node = "pipeline-1";
  sightings.role = Role::pipeline;
  sightings.topology = "wordcount";
  sightings.incarnation = sample_incarnation(2);
  sightings.sequence = 3;
  sightings.seen = 1000;
  sightings.left_out = 2;
  Sighting sighting;
  sighting.message = 0x1122334400000007;
  sighting.kind = Sighting::Kind::error;
  sighting.next = Sighting::Next::again;
  sighting.failure = FailureKind::error;
  sighting.task = "count";
  sighting.peer = "worker-1";
  sighting.delivery = 0x100000002;
  sighting.attempt = 1;
  sighting.count = 4;
  sighting.at_us = 900;
  sighting.waited_us = 200;
  sighting.out_us = 700;
  sighting.handled_us = 120;
  sighting.again_us = 100'000;
  sighting.text = "no";
  sighting.key = "k";
  sighting.payload = "word";
  sighting.payload_bytes = 4;
  sightings.sightings = {sighting};
  return sightings;
}

template <typename Frame>
Sample sample_of(std::string name, const Frame& frame) {
  Sample sample{std::move(name), {}, [](std::string_view bytes) {
                  Frame decoded;
                  return decode(bytes, decoded).ok();
                }};
  encode(frame, sample.bytes);
  return sample;
}

inline Sample sample_data() {
  Sample sample{"data", {}, [](std::string_view bytes) {
                  DataHeader header;
                  std::string_view body;
                  Window window;
                  return decode(bytes, header, body).ok() && decode(body, window).ok();
                }};
  begin_data(BodyKind::window, sample.bytes);
  encode(Window{1024, 1 << 20}, sample.bytes);
  finish_data({0x99aabbccddeeff00, 2, 1, BodyKind::window}, sample.bytes);
  return sample;
}

inline std::vector<Sample> samples() {
  return {sample_of("hello", sample_hello()),
          sample_of("welcome", sample_welcome()),
          sample_data(),
          sample_of("heartbeat", Heartbeat{0x99aabbccddeeff00, 41, true}),
          sample_of("reset", Reset{0x99aabbccddeeff00}),
          sample_of("bye", Bye{0x99aabbccddeeff00, "drained"}),
          sample_of("registration", sample_registration()),
          sample_of("directory", sample_directory()),
          sample_of("slot_settlement", sample_slot_settlement()),
          sample_of("query", Query{3, "nodes", "wordcount"}),
          sample_of("snapshot", sample_snapshot()),
          sample_of("watch", sample_watch()),
          sample_of("attach", Attach{"v1", {TaskId{0}, TaskId{2}}, 1024, 1 << 20, 64}),
          sample_of("window", Window{1024, 1 << 20, 64}),
          sample_of("messages", sample_messages()),
          sample_of("outcomes", sample_outcomes()),
          sample_of("deliveries", sample_deliveries()),
          sample_of("results", sample_results()),
          sample_of("stats", sample_stats()),
          sample_of("sightings", sample_sightings())};
}

}  // namespace tempest::wire
