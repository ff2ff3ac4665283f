#include <cassert>

#include "tempest/base/limits.hpp"
#include "tempest/wire/codec.hpp"
#include "tempest/wire/id_sequence.hpp"
#include "tempest/wire/reader.hpp"
#include "tempest/wire/writer.hpp"

/// The bodies between a coordinator and a worker.
namespace tempest::wire {
namespace {

/// What an item, part or output mostly takes, at the most, beyond its texts and payload.
constexpr std::size_t kItemHeadBytes = 12;

void put(const Deliveries::Part& part, Writer& writer) {
  const bool has_edge = part.edge != kNoEdge;
  const bool has_key = !part.key.empty();
  writer.array(has_key ? 3 : has_edge ? 2 : 1);
  writer.bytes(part.payload);
  if (has_edge) {
    writer.integer(static_cast<std::uint64_t>(part.edge));
  } else if (has_key) {
    writer.nil();
  }
  if (has_key) writer.bytes(part.key);
}

void read(Reader& reader, Deliveries::Part& part) {
  const std::size_t fields = reader.record(1);
  part.payload = reader.bytes(kMaxPayloadBytes);
  if (fields < 2) return;
  if (!reader.take_nil()) part.edge = static_cast<EdgeId>(reader.integer(UINT16_MAX));
  if (fields < 3) return;
  part.key = reader.bytes(kMaxPayloadBytes);
  reader.skip(fields - 3);
}

/// What nearly all items are: one small message, with nothing to be said of it, whose id follows on
/// the last. True: it is written.
bool put_plain(const Deliveries::Item& item, const Deliveries::Part& part, IdWriter& ids,
               Writer& writer) {
  const auto task = static_cast<std::uint64_t>(item.task);
  const auto edge = static_cast<std::uint64_t>(part.edge);
  const bool has_edge = part.edge != kNoEdge;
  const bool is_plain = ids.is_next(item.id.packed()) && one_byte::holds(task) &&
                        one_byte::holds(item.attempt) && part.key.empty() &&
                        part.payload.size() < 256 && (!has_edge || one_byte::holds(edge));
  if (!is_plain) return false;
  writer.row(part.payload, one_byte::array(4), one_byte::kNil, task, item.attempt,
             one_byte::array(1), one_byte::array(has_edge ? 2 : 1));
  if (has_edge) writer.integer(edge);
  ids.has_put_next();
  return true;
}

/// True: such an item came next, and has been read. False: nothing has.
bool read_plain(Reader& reader, IdReader& ids, Deliveries& deliveries) {
  constexpr std::size_t kHeadBytes = 8;
  const std::uint8_t* head = reader.peek(kHeadBytes);
  if (head == nullptr || !ids.may_follow()) return false;
  const bool has_edge = head[5] == one_byte::array(2);
  const bool is_plain =
      head[0] == one_byte::array(4) && head[1] == one_byte::kNil && one_byte::holds(head[2]) &&
      one_byte::holds(head[3]) && head[4] == one_byte::array(1) &&
      (has_edge || head[5] == one_byte::array(1)) && head[6] == one_byte::kShortBytes;
  if (!is_plain || reader.remaining() < kHeadBytes + head[7]) return false;
  deliveries.items.push_back({.id = DeliveryId::unpack(ids.take_next()),
                              .task = TaskId{head[2]},
                              .attempt = head[3],
                              .first_part = static_cast<std::uint32_t>(deliveries.parts.size())});
  Deliveries::Part& part = deliveries.parts.emplace_back();
  reader.pass(kHeadBytes);
  part.payload = reader.pass(head[7]);
  if (has_edge && !reader.take_nil()) part.edge = static_cast<EdgeId>(reader.integer(UINT16_MAX));
  return true;
}

void put(const Results& results, const Results::Output& output, Writer& writer) {
  const bool has_failure = output.failure != Results::kNotFailed;
  const bool has_edge = output.edge != kNoEdge;
  const bool has_name = !output.output.empty() && !has_edge;
  const bool has_key = !output.key.empty();
  assert(has_edge || !has_failure);
  writer.array(has_failure ? 7 : has_edge ? 4 : has_name ? 3 : has_key ? 2 : 1);
  writer.bytes(output.payload);
  if (has_key || has_name || has_edge) writer.bytes(output.key);
  if (has_name) writer.text(output.output);
  if (!has_edge) return;
  writer.nil();
  writer.integer(static_cast<std::uint64_t>(output.edge));
  if (!has_failure) return;
  const Results::Failure& failure = results.failures[output.failure];
  writer.integer(static_cast<std::uint64_t>(failure.status));
  writer.text_cut(failure.reason, kMaxReasonBytes);
  writer.integer(failure.retry_after_ms);
}

void read_failure(Reader& reader, Results::Output& output, Results& results) {
  output.failure = static_cast<std::uint32_t>(results.failures.size());
  Results::Failure& failure = results.failures.emplace_back();
  failure.status = static_cast<Results::Status>(
      reader.integer(static_cast<std::uint64_t>(Results::Status::unavailable)));
  const bool is_failure = failure.status == Results::Status::retry ||
                          failure.status == Results::Status::fail ||
                          failure.status == Results::Status::unavailable;
  if (!is_failure) reader.fail("a failure that is none");
  failure.reason = reader.bytes(kMaxReasonBytes);
  failure.retry_after_ms = reader.integer();
}

void read(Reader& reader, Results& results) {
  const std::size_t fields = reader.record(1);
  Results::Output& output = results.outputs.emplace_back();
  output.payload = reader.bytes(kMaxPayloadBytes);
  if (fields < 2) return;
  output.key = reader.bytes(kMaxPayloadBytes);
  if (fields < 3) return;
  if (!reader.take_nil()) output.output = reader.bytes(kMaxNameBytes);
  if (fields < 4) return;
  output.edge = static_cast<EdgeId>(reader.integer(UINT16_MAX - 1));
  if (fields < 7) return reader.skip(fields - 4);
  read_failure(reader, output, results);
  reader.skip(fields - 7);
}

/// Nothing but that it is done (or returned): what most are, and what goes into runs.
bool is_plain(const Results::Item& item) {
  return item.output_count == 0 && item.reason.empty() && item.retry_after_ms == 0 &&
         item.handled_us == 0;
}

/// How many results from this one on go into one entry.
std::size_t run_length(const std::vector<Results::Item>& items, std::size_t first) {
  std::size_t end = first + 1;
  if (!is_plain(items[first])) return 1;
  while (end < items.size() && items[end].status == items[first].status && is_plain(items[end]) &&
         items[end].id.packed() == items[end - 1].id.packed() + 1) {
    ++end;
  }
  return end - first;
}

void put_entry(const Results& results, std::size_t first, std::size_t length, IdWriter& ids,
               Writer& writer) {
  const Results::Item& item = results.items[first];
  const bool has_time = item.handled_us != 0;
  const bool has_reason = !item.reason.empty() || item.retry_after_ms != 0 || has_time;
  writer.array(has_time ? 7 : has_reason ? 6 : item.output_count > 0 ? 4 : length > 1 ? 3 : 2);
  ids.put(item.id.packed());
  ids.advance(length);
  writer.integer(static_cast<std::uint64_t>(item.status));
  if (!has_reason && item.output_count == 0 && length == 1) return;
  writer.integer(length);
  if (!has_reason && item.output_count == 0) return;
  assert(item.first_output + item.output_count <= results.outputs.size());
  writer.array(item.output_count);
  for (std::uint32_t i = 0; i < item.output_count; ++i) {
    put(results, results.outputs[item.first_output + i], writer);
  }
  if (!has_reason) return;
  writer.text_cut(item.reason, kMaxReasonBytes);
  writer.integer(item.retry_after_ms);
  if (has_time) writer.integer(item.handled_us);
}

void read_outputs(Reader& reader, Results::Item& item, Results& results) {
  const std::size_t count = reader.array(kMaxFrameParts - results.outputs.size());
  item.first_output = static_cast<std::uint32_t>(results.outputs.size());
  item.output_count = static_cast<std::uint32_t>(count);
  for (std::size_t i = 0; i < count && reader.ok(); ++i) {
    read(reader, results);
  }
}

void put(const Results::Fused& fused, Writer& writer) {
  writer.array(4);
  writer.integer(static_cast<std::uint64_t>(fused.task));
  writer.integer(fused.acknowledged);
  writer.integer(fused.outputs);
  writer.integer(fused.outputs_dropped);
}

void read(Reader& reader, Results::Fused& fused) {
  const std::size_t fields = reader.record(4);
  fused.task = static_cast<TaskId>(reader.integer(UINT16_MAX));
  fused.acknowledged = reader.integer();
  fused.outputs = reader.integer();
  fused.outputs_dropped = reader.integer();
  reader.skip(fields - 4);
}

void read_entry(Reader& reader, IdReader& ids, Results& results) {
  const std::size_t fields = reader.record(2);
  Results::Item item;
  const std::uint64_t first = ids.take();
  item.status = static_cast<Results::Status>(
      reader.integer(static_cast<std::uint64_t>(Results::Status::tree_timed_out)));
  std::uint64_t length = 1;
  item.first_output = static_cast<std::uint32_t>(results.outputs.size());
  if (fields > 2) length = reader.integer(kMaxFrameItems);
  if (fields > 3) read_outputs(reader, item, results);
  if (fields > 4) item.reason = reader.bytes(kMaxReasonBytes);
  if (fields > 5) item.retry_after_ms = reader.integer();
  if (fields > 6) item.handled_us = static_cast<std::uint32_t>(reader.integer(UINT32_MAX));
  if (fields > 7) reader.skip(fields - 7);
  if (length > kMaxFrameItems - results.items.size()) reader.fail("more results than allowed");
  // Outputs, and a time, belong to one delivery.
  if (length == 0 || (length > 1 && (item.output_count > 0 || item.handled_us > 0)))
    reader.fail("a run that cannot be");
  if (!reader.ok()) return;
  ids.advance(length);
  for (std::uint64_t k = 0; k < length; ++k) {
    item.id = DeliveryId::unpack(first + k);
    results.items.push_back(item);
  }
}

}  // namespace

void encode(const Deliveries& deliveries, std::string& frame) {
  std::size_t room = kItemHeadBytes * (1 + deliveries.items.size());
  for (const Deliveries::Part& part : deliveries.parts) {
    room += kItemHeadBytes + part.key.size() + part.payload.size();
  }

  Writer writer(frame);
  writer.reserve(room);
  IdWriter ids(writer);
  writer.array(1);
  writer.array(deliveries.items.size());
  for (const Deliveries::Item& item : deliveries.items) {
    assert(item.first_part + item.part_count <= deliveries.parts.size());
    const bool is_marked = item.alone || item.traced || item.single;
    if (!is_marked && item.part_count == 1 &&
        put_plain(item, deliveries.parts[item.first_part], ids, writer)) {
      continue;
    }
    writer.array(!is_marked ? 4 : item.single ? 7 : item.traced ? 6 : 5);
    ids.put(item.id.packed());
    writer.integer(static_cast<std::uint64_t>(item.task));
    writer.integer(item.attempt);
    writer.array(item.part_count);
    for (std::uint32_t i = 0; i < item.part_count; ++i) {
      put(deliveries.parts[item.first_part + i], writer);
    }
    if (!is_marked) continue;
    writer.boolean(item.alone);
    if (item.traced || item.single) writer.boolean(item.traced);
    if (item.single) writer.boolean(true);
  }
}

Result<void> decode(std::string_view body, Deliveries& deliveries) {
  Reader reader(body);
  IdReader ids(reader);
  const std::size_t fields = reader.record(1);
  const std::size_t count = reader.array(kMaxFrameItems);
  deliveries.items.clear();
  deliveries.parts.clear();
  deliveries.items.reserve(count);
  deliveries.parts.reserve(count);
  for (std::size_t i = 0; i < count && reader.ok(); ++i) {
    if (deliveries.parts.size() < kMaxFrameParts && read_plain(reader, ids, deliveries)) continue;
    const std::size_t item_fields = reader.record(4);
    Deliveries::Item& item = deliveries.items.emplace_back();
    item.id = DeliveryId::unpack(ids.take());
    item.task = static_cast<TaskId>(reader.integer(UINT16_MAX));
    item.attempt = static_cast<std::uint32_t>(reader.integer(UINT32_MAX));
    item.first_part = static_cast<std::uint32_t>(deliveries.parts.size());
    const std::size_t parts = reader.array(kMaxFrameParts - deliveries.parts.size());
    item.part_count = static_cast<std::uint32_t>(parts);
    for (std::size_t k = 0; k < parts && reader.ok(); ++k) {
      read(reader, deliveries.parts.emplace_back());
    }
    if (item_fields > 4) item.alone = reader.boolean();
    if (item_fields > 5) item.traced = reader.boolean();
    if (item_fields > 6) item.single = reader.boolean();
    if (item_fields > 7) reader.skip(item_fields - 7);
  }
  reader.skip(fields - 1);
  return reader.finish();
}

void encode(const Results& results, std::string& frame) {
  std::size_t room = kItemHeadBytes * (1 + results.items.size());
  for (const Results::Output& output : results.outputs) {
    room += kItemHeadBytes + output.output.size() + output.key.size() + output.payload.size();
  }

  std::size_t entries = 0;
  for (std::size_t at = 0; at < results.items.size(); at += run_length(results.items, at)) {
    ++entries;
  }
  Writer writer(frame);
  writer.reserve(room);
  IdWriter ids(writer);
  writer.array(results.fused.empty() ? 1 : 2);
  writer.array(entries);
  for (std::size_t at = 0; at < results.items.size();) {
    const std::size_t length = run_length(results.items, at);
    put_entry(results, at, length, ids, writer);
    at += length;
  }
  if (results.fused.empty()) return;
  writer.array(results.fused.size());
  for (const Results::Fused& fused : results.fused) put(fused, writer);
}

Result<void> decode(std::string_view body, Results& results) {
  Reader reader(body);
  IdReader ids(reader);
  const std::size_t fields = reader.record(1);
  const std::size_t count = reader.array(kMaxFrameItems);
  results.clear();
  results.items.reserve(count);
  for (std::size_t i = 0; i < count && reader.ok(); ++i) read_entry(reader, ids, results);
  if (fields < 2) return reader.finish();
  const std::size_t fused = reader.array(kMaxFrameItems);
  for (std::size_t i = 0; i < fused && reader.ok(); ++i) read(reader, results.fused.emplace_back());
  reader.skip(fields - 2);
  return reader.finish();
}

}  // namespace tempest::wire
