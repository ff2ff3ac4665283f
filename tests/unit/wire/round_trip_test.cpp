#include <catch2/catch.hpp>
#include <string>

#include "samples.hpp"

using namespace tempest;
using namespace tempest::wire;

namespace {

/// `frame` holds the bytes that the returned struct's views point into.
template <typename Frame>
Frame pass(const Frame& sent, std::string& frame) {
  frame.clear();
  encode(sent, frame);
  Frame received;
  const Result<void> result = decode(frame, received);
  INFO((result.ok() ? "" : result.error().message));
  REQUIRE(result.ok());
  return received;
}

}  // namespace

TEST_CASE("Link headers come out as they went in") {
  std::string frame;
  const Hello hello = pass(sample_hello(), frame);
  CHECK(peek_type(frame).value() == FrameType::hello);
  CHECK(hello.protocol == kProtocolVersion);
  CHECK(hello.hello == 0x1122334455667788);
  CHECK(hello.role == Role::task);
  CHECK(hello.name == "worker-1");
  CHECK(hello.incarnation == sample_incarnation(1));
  CHECK(hello.topology == "wordcount");
  CHECK(hello.lease_ms == 3000);
  CHECK(hello.wanted_name == "pipeline-1");
  CHECK(hello.wanted_incarnation == sample_incarnation(2));

  const Welcome welcome = pass(sample_welcome(), frame);
  CHECK(peek_type(frame).value() == FrameType::welcome);
  CHECK(welcome.protocol == kProtocolVersion);
  CHECK(welcome.hello == 0x1122334455667788);
  CHECK(welcome.session == 0x99aabbccddeeff00);
  CHECK(welcome.role == Role::pipeline);
  CHECK(welcome.name == "pipeline-1");
  CHECK(welcome.incarnation == sample_incarnation(2));
  CHECK(welcome.lease_ms == 3000);
  CHECK(welcome.topology == "wordcount");

  const Heartbeat heartbeat = pass(Heartbeat{UINT64_MAX, 300, true}, frame);
  CHECK(peek_type(frame).value() == FrameType::heartbeat);
  CHECK(heartbeat.session == UINT64_MAX);
  CHECK(heartbeat.ack == 300);
  CHECK(heartbeat.missing);

  CHECK(pass(Reset{5}, frame).session == 5);
  CHECK(peek_type(frame).value() == FrameType::reset);

  const Bye bye = pass(Bye{5, "drained"}, frame);
  CHECK(peek_type(frame).value() == FrameType::bye);
  CHECK(bye.session == 5);
  CHECK(bye.reason == "drained");
}

TEST_CASE("A data frame's head has its fixed size, and its body follows") {
  std::string frame;
  begin_data(BodyKind::window, frame);
  CHECK(frame.size() == kDataHeaderBytes);
  encode(Window{1, 2}, frame);
  finish_data({UINT64_MAX, 1, 0, BodyKind::window}, frame);

  DataHeader header;
  std::string_view body;
  REQUIRE(decode(frame, header, body).ok());
  CHECK(peek_type(frame).value() == FrameType::data);
  CHECK(header.session == UINT64_MAX);
  CHECK(header.sequence == 1);
  CHECK(header.ack == 0);
  CHECK(header.kind == BodyKind::window);
  CHECK(body.data() == frame.data() + kDataHeaderBytes);
  Window window;
  REQUIRE(decode(body, window).ok());
  CHECK(window.messages == 1);
  CHECK(window.bytes == 2);
}

TEST_CASE("Registry bodies come out as they went in") {
  std::string frame;
  const Registration registration = pass(sample_registration(), frame);
  CHECK(registration.endpoint == "tcp://10.0.0.5:40123");
  CHECK(registration.topology_version == "v1");
  CHECK(registration.topology_text == "name = \"x\"\n");
  CHECK(registration.tasks == std::vector<std::string_view>{"split", "count"});
  CHECK(registration.state == "running");
  CHECK(registration.slots_revision == 7);
  CHECK(registration.age_ms == 1500);

  const Directory directory = pass(sample_directory(), frame);
  CHECK(directory.revision == 12);
  CHECK(directory.topology == "wordcount");
  CHECK(directory.topology_version == "v1");
  CHECK(directory.topology_text == "name = \"x\"\n");
  REQUIRE(directory.coordinators.size() == 1);
  CHECK(directory.coordinators[0].name == "pipeline-1");
  CHECK(directory.coordinators[0].incarnation == sample_incarnation(2));
  CHECK(directory.coordinators[0].endpoint == "tcp://10.0.0.5:40123");
  CHECK(directory.coordinators[0].topology_version == "v1");
  REQUIRE(directory.workers.size() == 2);
  CHECK(directory.workers[1].name == "worker-2");
  CHECK(directory.workers[1].incarnation == sample_incarnation(3));
  CHECK(directory.workers[0].tasks == std::vector<std::string_view>{"split", "count"});
  CHECK(directory.slots_revision == 7);
  CHECK(directory.slots_settled == 6);
  CHECK(directory.workers[0].absences == 0);
  CHECK(directory.workers[1].absences == 1);
  REQUIRE(directory.held.size() == 1);
  CHECK(directory.held[0].coordinator == "pipeline-1");
  CHECK(directory.held[0].task == "count");
  CHECK(directory.held[0].slots == sample_slots());

  const SlotSettlement settlement = pass(sample_slot_settlement(), frame);
  CHECK(settlement.slots_revision == 7);
  REQUIRE(settlement.held.size() == 1);
  CHECK(settlement.held[0].task == "count");
  CHECK(settlement.held[0].slots == sample_slots());
  REQUIRE(settlement.attached.size() == 1);
  CHECK(settlement.attached[0].name == "worker-1");
  CHECK(settlement.attached[0].tasks == std::vector<std::string_view>{"split", "count"});
  REQUIRE(settlement.missing.size() == 1);
  CHECK(settlement.missing[0].name == "worker-2");
  CHECK(settlement.missing[0].incarnation == sample_incarnation(3));

  const Query query = pass(Query{3, "nodes", "wordcount"}, frame);
  CHECK(query.id == 3);
  CHECK(query.what == "nodes");
  CHECK(query.topology == "wordcount");

  const Snapshot snapshot = pass(sample_snapshot(), frame);
  CHECK(snapshot.id == 3);
  REQUIRE(snapshot.nodes.size() == 1);
  CHECK(snapshot.nodes[0].role == Role::task);
  CHECK(snapshot.nodes[0].name == "worker-1");
  CHECK(snapshot.nodes[0].incarnation == sample_incarnation(1));
  CHECK(snapshot.nodes[0].topology == "wordcount");
  CHECK(snapshot.nodes[0].topology_version == "v1");
  CHECK(snapshot.nodes[0].endpoint.empty());
  CHECK(snapshot.nodes[0].tasks == std::vector<std::string_view>{"split"});
  CHECK(snapshot.nodes[0].state == "draining");
  CHECK(snapshot.nodes[0].age_ms == 60'000);
}

TEST_CASE("Attach and Window come out as they went in") {
  std::string frame;
  const Attach attach = pass(Attach{"v1", {TaskId{0}, TaskId{300}}, 1024, 1 << 20, 7}, frame);
  CHECK(attach.topology_version == "v1");
  CHECK(attach.tasks == std::vector<TaskId>{TaskId{0}, TaskId{300}});
  CHECK(attach.window_messages == 1024);
  CHECK(attach.window_bytes == 1 << 20);
  CHECK(attach.window_batch == 7);
  CHECK(pass(Window{0, UINT64_MAX}, frame).bytes == UINT64_MAX);
  CHECK(pass(Window{1, 2, 3}, frame).batch == 3);
}

TEST_CASE("A batch of one is left out of Attach and Window, and what is left out is one") {
  std::string frame;
  Attach attach;
  attach.window_batch = 9;
  encode(Attach{"v1", {}, 0, 0}, frame);
  CHECK(frame.front() == '\x94');
  REQUIRE(decode(frame, attach).ok());
  CHECK(attach.window_batch == 1);
  frame.clear();
  Window window{5, 5, 9};
  encode(Window{1, 2}, frame);
  CHECK(frame.front() == '\x92');
  REQUIRE(decode(frame, window).ok());
  CHECK(window.batch == 1);
}

TEST_CASE("Messages and Outcomes come out as they went in") {
  std::string frame;
  const Messages messages = pass(sample_messages(), frame);
  const Messages sent = sample_messages();
  REQUIRE(messages.items.size() == sent.items.size());
  for (std::size_t i = 0; i < sent.items.size(); ++i) {
    CHECK(messages.items[i].id == sent.items[i].id);
    CHECK(messages.items[i].key == sent.items[i].key);
    CHECK(messages.items[i].payload == sent.items[i].payload);
  }

  const Outcomes outcomes = pass(sample_outcomes(), frame);
  CHECK(outcomes.acked == sample_outcomes().acked);
  CHECK(outcomes.returned == sample_outcomes().returned);
  REQUIRE(outcomes.failed.size() == 1);
  const Outcomes::Failed& failed = outcomes.failed[0];
  CHECK(failed.id == MessageId{9, 2});
  CHECK(failed.kind == FailureKind::task_timeout);
  CHECK(failed.task == "count");
  CHECK(failed.attempts == 5);
  CHECK(failed.worker == "worker-1");
  CHECK(failed.reason == "too slow");
  CHECK(failed.payload == "word");
  CHECK(failed.retries == 7);
}

TEST_CASE("Deliveries and Results come out as they went in") {
  std::string frame;
  const Deliveries sent = sample_deliveries();
  const Deliveries deliveries = pass(sent, frame);
  REQUIRE(deliveries.items.size() == sent.items.size());
  for (std::size_t i = 0; i < sent.items.size(); ++i) {
    CHECK(deliveries.items[i].id == sent.items[i].id);
    CHECK(deliveries.items[i].task == sent.items[i].task);
    CHECK(deliveries.items[i].attempt == sent.items[i].attempt);
    CHECK(deliveries.items[i].first_part == sent.items[i].first_part);
    CHECK(deliveries.items[i].part_count == sent.items[i].part_count);
    CHECK(deliveries.items[i].alone == sent.items[i].alone);
  }
  REQUIRE(deliveries.parts.size() == sent.parts.size());
  for (std::size_t i = 0; i < sent.parts.size(); ++i) {
    CHECK(deliveries.parts[i].edge == sent.parts[i].edge);
    CHECK(deliveries.parts[i].key == sent.parts[i].key);
    CHECK(deliveries.parts[i].payload == sent.parts[i].payload);
  }

  const Results sent_results = sample_results();
  const Results results = pass(sent_results, frame);
  REQUIRE(results.items.size() == sent_results.items.size());
  for (std::size_t i = 0; i < sent_results.items.size(); ++i) {
    CHECK(results.items[i].id == sent_results.items[i].id);
    CHECK(results.items[i].status == sent_results.items[i].status);
    CHECK(results.items[i].reason == sent_results.items[i].reason);
    CHECK(results.items[i].retry_after_ms == sent_results.items[i].retry_after_ms);
    CHECK(results.items[i].output_count == sent_results.items[i].output_count);
    CHECK(results.items[i].first_output == sent_results.items[i].first_output);
  }
  REQUIRE(results.outputs.size() == sent_results.outputs.size());
  for (std::size_t i = 0; i < sent_results.outputs.size(); ++i) {
    CHECK(results.outputs[i].output == sent_results.outputs[i].output);
    CHECK(results.outputs[i].key == sent_results.outputs[i].key);
    CHECK(results.outputs[i].payload == sent_results.outputs[i].payload);
    CHECK(results.outputs[i].edge == sent_results.outputs[i].edge);
    CHECK(results.outputs[i].failure == sent_results.outputs[i].failure);
  }
  REQUIRE(results.failures.size() == 1);
  CHECK(results.failures[0].status == Results::Status::retry);
  CHECK(results.failures[0].reason == "not yet");
  CHECK(results.failures[0].retry_after_ms == 250);
  REQUIRE(results.fused.size() == 1);
  CHECK(results.fused[0].task == TaskId{1});
  CHECK(results.fused[0].acknowledged == 2);
  CHECK(results.fused[0].outputs == 3);
  CHECK(results.fused[0].outputs_dropped == 1);
}

TEST_CASE("Outputs may stand in any order in Results") {
  Results results;
  results.items = {{DeliveryId{0, 1}, Results::Status::done, {}, 0, 1, 1},
                   {DeliveryId{1, 1}, Results::Status::done, {}, 0, 0, 1}};
  results.outputs = {{{}, {}, "of the second"}, {{}, {}, "of the first"}};
  std::string frame;
  const Results received = pass(results, frame);
  const auto output_of = [&](std::size_t item) {
    return received.outputs[received.items[item].first_output].payload;
  };
  CHECK(output_of(0) == "of the first");
  CHECK(output_of(1) == "of the second");
}

TEST_CASE("Statistics come out as they went in") {
  std::string frame;
  const StatsReport report = pass(sample_stats(), frame);
  CHECK(report.node == "worker-1");
  CHECK(report.role == Role::task);
  CHECK(report.topology == "wordcount");
  CHECK(report.incarnation == sample_incarnation(1));
  CHECK(report.uptime_ms == 61'000);
  REQUIRE(report.numbers.size() == 2);
  CHECK(report.numbers[0].name == "tempest_handled_total");
  REQUIRE(report.numbers[0].labels.size() == 1);
  CHECK(report.numbers[0].labels[0].name == "task");
  CHECK(report.numbers[0].labels[0].value == "count");
  CHECK(report.numbers[0].value == 1000);
  CHECK(report.numbers[0].is_counter);
  CHECK(report.numbers[1].value == 1.5);
  CHECK_FALSE(report.numbers[1].is_counter);
  REQUIRE(report.distributions.size() == 1);
  CHECK(report.distributions[0].name == "tempest_handle_seconds");
  CHECK(report.distributions[0].histogram.count() == 2);
  CHECK(report.distributions[0].histogram.sum_ns() == 6000);
  CHECK(report.distributions[0].histogram.buckets() ==
        sample_stats().distributions[0].histogram.buckets());
}

TEST_CASE("What is watched, marked and seen comes out as it went in") {
  std::string frame;
  CHECK(pass(sample_watch(), frame) == sample_watch());
  const Directory directory = pass(sample_directory(), frame);
  REQUIRE(directory.watches.size() == 1);
  CHECK(directory.watches[0] == sample_watch());

  const Messages messages = pass(sample_messages(), frame);
  REQUIRE(messages.traced.size() == 1);
  CHECK(messages.traced[0].item == 1);
  CHECK(messages.traced[0].message == 0x1122334400000007);
  const Deliveries deliveries = pass(sample_deliveries(), frame);
  CHECK_FALSE(deliveries.items[1].traced);
  CHECK(deliveries.items[2].traced);
  CHECK_FALSE(deliveries.items[2].alone);
  const Results results = pass(sample_results(), frame);
  CHECK(results.items.front().handled_us == 0);
  CHECK(results.items[7].handled_us == 120);
  CHECK(results.items[9].status == Results::Status::timed_out);
  CHECK(results.items[9].handled_us == 2'000'000);

  const Sightings sightings = pass(sample_sightings(), frame);
  CHECK(sightings.node == "pipeline-1");
  CHECK(sightings.role == Role::pipeline);
  CHECK(sightings.topology == "wordcount");
  CHECK(sightings.incarnation == sample_incarnation(2));
  CHECK(sightings.sequence == 3);
  CHECK(sightings.seen == 1000);
  CHECK(sightings.left_out == 2);
  REQUIRE(sightings.sightings.size() == 1);
  const Sighting& sighting = sightings.sightings[0];
  CHECK(sighting.message == 0x1122334400000007);
  CHECK(sighting.kind == Sighting::Kind::error);
  CHECK(sighting.next == Sighting::Next::again);
  CHECK(sighting.failure == FailureKind::error);
  CHECK(sighting.task == "count");
  CHECK(sighting.peer == "worker-1");
  CHECK(sighting.delivery == 0x100000002);
  CHECK(sighting.attempt == 1);
  CHECK(sighting.count == 4);
  CHECK(sighting.at_us == 900);
  CHECK(sighting.waited_us == 200);
  CHECK(sighting.out_us == 700);
  CHECK(sighting.handled_us == 120);
  CHECK(sighting.again_us == 100'000);
  CHECK(sighting.text == "no");
  CHECK(sighting.key == "k");
  CHECK(sighting.payload == "word");
  CHECK(sighting.payload_bytes == 4);
}

TEST_CASE("Traced messages must be in a frame, and in its order") {
  std::string frame;
  Messages messages = sample_messages();
  messages.traced = {{2, 1}, {1, 2}};
  encode(messages, frame);
  CHECK_FALSE(decode(frame, messages).ok());
  frame.clear();
  messages = sample_messages();
  messages.traced = {{3, 1}};
  encode(messages, frame);
  CHECK_FALSE(decode(frame, messages).ok());
}

TEST_CASE("Empty bodies come out empty, whatever the struct held before") {
  std::string frame;
  encode(Messages{}, frame);
  Messages messages = sample_messages();
  REQUIRE(decode(frame, messages).ok());
  CHECK(messages.items.empty());
  CHECK(messages.traced.empty());

  frame.clear();
  encode(Outcomes{}, frame);
  Outcomes outcomes = sample_outcomes();
  REQUIRE(decode(frame, outcomes).ok());
  CHECK(outcomes.acked.empty());
  CHECK(outcomes.failed.empty());
  CHECK(outcomes.returned.empty());

  frame.clear();
  encode(Deliveries{}, frame);
  Deliveries deliveries = sample_deliveries();
  REQUIRE(decode(frame, deliveries).ok());
  CHECK(deliveries.items.empty());
  CHECK(deliveries.parts.empty());

  frame.clear();
  encode(Results{}, frame);
  Results results = sample_results();
  REQUIRE(decode(frame, results).ok());
  CHECK(results.items.empty());
  CHECK(results.outputs.empty());

  frame.clear();
  encode(Directory{}, frame);
  Directory directory = sample_directory();
  REQUIRE(decode(frame, directory).ok());
  CHECK(directory.workers.empty());
  CHECK(directory.topology_text.empty());
  CHECK(directory.watches.empty());

  encode(StatsReport{}, frame);
  StatsReport report = sample_stats();
  REQUIRE(decode(frame, report).ok());
  CHECK(report.numbers.empty());
  CHECK(report.distributions.empty());
}

TEST_CASE("A fuller struct that is decoded into keeps nothing of before") {
  std::string frame;
  Directory shorter = sample_directory();
  shorter.workers = {{"w", sample_incarnation(4), {}}};
  encode(shorter, frame);
  Directory directory = sample_directory();
  REQUIRE(decode(frame, directory).ok());
  REQUIRE(directory.workers.size() == 1);
  CHECK(directory.workers[0].tasks.empty());
}

TEST_CASE("A payload beyond 64 KiB comes out whole") {
  // A forerunner had 16 bits for a frame's length.
  for (const std::size_t size : {65'535UL, 65'536UL, 65'537UL, 1'000'000UL, kMaxPayloadBytes}) {
    std::string payload(size, 'x');
    payload.back() = 'y';
    std::string frame;
    CHECK(pass(Messages{{{MessageId{1, 1}, {}, payload}}, {}}, frame).items[0].payload == payload);
    CHECK(pass(Deliveries{{{DeliveryId{1, 1}, TaskId{}, 1, 0, 1}}, {{kNoEdge, {}, payload}}}, frame)
              .parts[0]
              .payload == payload);
  }
}

TEST_CASE("As many items as a frame may have come out") {
  Messages messages;
  Outcomes outcomes;
  Results results;
  for (std::uint32_t i = 0; i < kMaxFrameItems; ++i) {
    messages.items.push_back({MessageId{i * 2, 1}, {}, "x"});
    outcomes.acked.push_back(MessageId{i * 2, 1});
    results.items.push_back({DeliveryId{i, 1}, Results::Status::done, {}, 0, 0, 0});
  }
  std::string frame;
  CHECK(pass(messages, frame).items.back().id == messages.items.back().id);
  CHECK(pass(outcomes, frame).acked == outcomes.acked);
  CHECK(pass(results, frame).items.size() == kMaxFrameItems);
  // Results in a row are one run.
  CHECK(frame.size() < 24);
}

TEST_CASE("Ids in a row take next to no room") {
  Outcomes outcomes;
  Messages messages;
  for (std::uint32_t i = 0; i < 1000; ++i) {
    outcomes.acked.push_back(MessageId{i, 1});
    messages.items.push_back({MessageId{i, 1}, {}, "0123456789"});
  }
  std::string frame;
  encode(outcomes, frame);
  CHECK(frame.size() < 20);
  frame.clear();
  encode(messages, frame);
  CHECK(frame.size() < 1000 * (10 + 4) + 20);
}

TEST_CASE("A reason that is too long is cut at the end of a character") {
  const std::string reason = std::string(kMaxReasonBytes - 1, 'x') + "\u00e9";
  std::string frame;
  CHECK(pass(Bye{1, reason}, frame).reason == std::string(kMaxReasonBytes - 1, 'x'));
  Results results;
  results.items = {{DeliveryId{1, 1}, Results::Status::fail, reason, 0, 0, 0}};
  CHECK(pass(results, frame).items[0].reason.size() == kMaxReasonBytes - 1);
}

TEST_CASE("Ids in a row may pass from one generation to the next") {
  // Packed, they are neighbours all the same.
  std::string frame;
  const Messages messages{{{MessageId{0xffffffff, 1}, {}, "a"}, {MessageId{0, 2}, {}, "b"}}, {}};
  CHECK(pass(messages, frame).items[1].id == MessageId{0, 2});
}
