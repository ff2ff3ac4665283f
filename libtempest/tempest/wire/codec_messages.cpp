#include <cassert>

#include "tempest/base/limits.hpp"
#include "tempest/wire/codec.hpp"
#include "tempest/wire/failure_kind.hpp"
#include "tempest/wire/id_sequence.hpp"
#include "tempest/wire/reader.hpp"
#include "tempest/wire/writer.hpp"

/// The bodies between a source and a coordinator, and those that grant credit.
namespace tempest::wire {
namespace {

/// What an item mostly takes, at the most, beyond its key and payload.
constexpr std::size_t kItemHeadBytes = 12;
/// A century: what is older is not meant.
constexpr std::uint64_t kMaxAge_ms = 100ULL * 366 * 24 * 3600 * 1000;

void put(const Outcomes::Failed& failed, Writer& writer) {
  writer.array(8);
  writer.integer(failed.id.packed());
  writer.integer(static_cast<std::uint64_t>(failed.kind));
  writer.text(failed.task);
  writer.integer(failed.attempts);
  writer.text(failed.worker);
  writer.text_cut(failed.reason, kMaxReasonBytes);
  writer.bytes(failed.payload);
  writer.integer(failed.retries);
}

void read(Reader& reader, Outcomes::Failed& failed) {
  const std::size_t fields = reader.record(8);
  failed.id = MessageId::unpack(reader.integer());
  failed.kind = read_failure_kind(reader);
  failed.task = reader.name();
  failed.attempts = static_cast<std::uint32_t>(reader.integer(UINT32_MAX));
  failed.worker = reader.name();
  failed.reason = reader.bytes(kMaxReasonBytes);
  failed.payload = reader.bytes(kMaxPayloadBytes);
  failed.retries = static_cast<std::uint32_t>(reader.integer(UINT32_MAX));
  reader.skip(fields - 8);
}

/// What nearly all items are: a small payload without a key, whose id follows on the last. True: it
/// is written.
bool put_plain(const Messages::Item& item, IdWriter& ids, Writer& writer) {
  if (!item.key.empty() || item.payload.size() >= 256 || !ids.is_next(item.id.packed())) {
    return false;
  }
  writer.row(item.payload, one_byte::array(2), one_byte::kNil);
  ids.has_put_next();
  return true;
}

/// True: such an item came next, and has been read. False: nothing has.
bool read_plain(Reader& reader, IdReader& ids, Messages& messages) {
  constexpr std::size_t kHeadBytes = 4;
  const std::uint8_t* head = reader.peek(kHeadBytes);
  const bool is_plain = head != nullptr && ids.may_follow() && head[0] == one_byte::array(2) &&
                        head[1] == one_byte::kNil && head[2] == one_byte::kShortBytes &&
                        reader.remaining() >= kHeadBytes + head[3];
  if (!is_plain) return false;
  reader.pass(kHeadBytes);
  messages.items.push_back({MessageId::unpack(ids.take_next()), {}, reader.pass(head[3])});
  return true;
}

void read_traced(Reader& reader, Messages& messages) {
  const std::size_t numbers = reader.array(2 * messages.items.size());
  if (numbers % 2 != 0) reader.fail("a traced message without its number");
  for (std::size_t i = 0; i < numbers && reader.ok(); i += 2) {
    const std::uint64_t item = reader.integer(messages.items.size() - 1);
    if (!messages.traced.empty() && item <= messages.traced.back().item) {
      reader.fail("traced messages out of order");
    }
    messages.traced.push_back({static_cast<std::uint32_t>(item), reader.integer()});
  }
}

void read_ages(Reader& reader, Messages& messages) {
  const std::size_t count = reader.array(messages.items.size());
  if (count != messages.items.size()) reader.fail("not as many ages as messages");
  for (std::size_t i = 0; i < count && reader.ok(); ++i) {
    messages.ages_ms.push_back(reader.integer(kMaxAge_ms));
  }
}

}  // namespace

void encode(const Attach& attach, std::string& frame) {
  Writer writer(frame);
  writer.array(attach.window_batch == 1 ? 4 : 5);
  writer.text(attach.topology_version);
  writer.array(attach.tasks.size());
  for (const TaskId task : attach.tasks) writer.integer(static_cast<std::uint64_t>(task));
  writer.integer(attach.window_messages);
  writer.integer(attach.window_bytes);
  if (attach.window_batch != 1) writer.integer(attach.window_batch);
}

Result<void> decode(std::string_view body, Attach& attach) {
  Reader reader(body);
  const std::size_t fields = reader.record(4);
  attach.topology_version = reader.name();
  const std::size_t tasks = reader.array(UINT16_MAX);
  attach.tasks.clear();
  attach.tasks.reserve(tasks);
  for (std::size_t i = 0; i < tasks && reader.ok(); ++i) {
    attach.tasks.push_back(static_cast<TaskId>(reader.integer(UINT16_MAX)));
  }
  attach.window_messages = reader.integer();
  attach.window_bytes = reader.integer();
  attach.window_batch = fields > 4 ? reader.integer() : 1;
  if (fields > 5) reader.skip(fields - 5);
  return reader.finish();
}

void encode(const Window& window, std::string& frame) {
  Writer writer(frame);
  writer.array(window.batch == 1 ? 2 : 3);
  writer.integer(window.messages);
  writer.integer(window.bytes);
  if (window.batch != 1) writer.integer(window.batch);
}

Result<void> decode(std::string_view body, Window& window) {
  Reader reader(body);
  const std::size_t fields = reader.record(2);
  window.messages = reader.integer();
  window.bytes = reader.integer();
  window.batch = fields > 2 ? reader.integer() : 1;
  if (fields > 3) reader.skip(fields - 3);
  return reader.finish();
}

void encode(const Messages& messages, std::string& frame) {
  std::size_t room = kItemHeadBytes;
  for (const Messages::Item& item : messages.items) {
    room += kItemHeadBytes + item.key.size() + item.payload.size();
  }

  Writer writer(frame);
  writer.reserve(room);
  IdWriter ids(writer);
  const bool has_ages = !messages.ages_ms.empty();
  assert(!has_ages || messages.ages_ms.size() == messages.items.size());
  writer.array(has_ages ? 3 : messages.traced.empty() ? 1 : 2);
  writer.array(messages.items.size());
  for (const Messages::Item& item : messages.items) {
    if (put_plain(item, ids, writer)) continue;
    writer.array(item.key.empty() ? 2 : 3);
    ids.put(item.id.packed());
    writer.bytes(item.payload);
    if (!item.key.empty()) writer.bytes(item.key);
  }
  if (messages.traced.empty() && !has_ages) return;
  writer.array(2 * messages.traced.size());
  for (const Messages::Traced& traced : messages.traced) {
    writer.integer(traced.item);
    writer.integer(traced.message);
  }
  if (!has_ages) return;
  writer.array(messages.ages_ms.size());
  for (const std::uint64_t age_ms : messages.ages_ms) writer.integer(age_ms);
}

Result<void> decode(std::string_view body, Messages& messages) {
  Reader reader(body);
  IdReader ids(reader);
  const std::size_t fields = reader.record(1);
  const std::size_t count = reader.array(kMaxFrameItems);
  messages.items.clear();
  messages.items.reserve(count);
  for (std::size_t i = 0; i < count && reader.ok(); ++i) {
    if (read_plain(reader, ids, messages)) continue;
    const std::size_t item_fields = reader.record(2);
    Messages::Item& item = messages.items.emplace_back();
    item.id = MessageId::unpack(ids.take());
    item.payload = reader.bytes(kMaxPayloadBytes);
    if (item_fields < 3) continue;
    item.key = reader.bytes(kMaxPayloadBytes);
    reader.skip(item_fields - 3);
  }
  messages.traced.clear();
  messages.ages_ms.clear();
  if (fields > 1) read_traced(reader, messages);
  if (fields > 2) read_ages(reader, messages);
  if (fields > 3) reader.skip(fields - 3);
  return reader.finish();
}

void encode(const Outcomes& outcomes, std::string& frame) {
  Writer writer(frame);
  writer.array(3);
  put_runs(outcomes.acked, writer);
  writer.array(outcomes.failed.size());
  for (const Outcomes::Failed& failed : outcomes.failed) put(failed, writer);
  put_runs(outcomes.returned, writer);
}

Result<void> decode(std::string_view body, Outcomes& outcomes) {
  Reader reader(body);
  const std::size_t fields = reader.record(3);
  read_runs(reader, outcomes.acked);
  const std::size_t failed = reader.array(kMaxFrameItems);
  outcomes.failed.clear();
  outcomes.failed.reserve(failed);
  for (std::size_t i = 0; i < failed && reader.ok(); ++i) {
    read(reader, outcomes.failed.emplace_back());
  }
  read_runs(reader, outcomes.returned);
  reader.skip(fields - 3);
  return reader.finish();
}

}  // namespace tempest::wire
