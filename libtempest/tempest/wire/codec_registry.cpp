#include <vector>

#include "tempest/base/limits.hpp"
#include "tempest/wire/codec.hpp"
#include "tempest/wire/reader.hpp"
#include "tempest/wire/writer.hpp"

namespace tempest::wire {
namespace {

/// "tcp://" and a host name, or the path of a socket.
constexpr std::size_t kMaxEndpointBytes = 1024;
/// The most that operators may watch at once in one topology.
constexpr std::size_t kMaxWatches = 64;
/// The most tasks of a topology: ids are of 16 bits, and the last means none.
constexpr std::size_t kMaxTasks = 65'535;
/// The most entries of held slots: of tasks at coordinators.
constexpr std::size_t kMaxHeld = 1'048'576;

void put_texts(const std::vector<std::string_view>& texts, Writer& writer) {
  writer.array(texts.size());
  for (const std::string_view text : texts) writer.text(text);
}

void read_names(Reader& reader, std::vector<std::string_view>& names) {
  const std::size_t count = reader.array(kMaxTasks);
  names.clear();
  names.reserve(count);
  for (std::size_t i = 0; i < count && reader.ok(); ++i) {
    names.push_back(reader.name());
  }
}

void put(const Directory::Coordinator& coordinator, Writer& writer) {
  writer.array(4);
  writer.text(coordinator.name);
  writer.incarnation(coordinator.incarnation);
  writer.text(coordinator.endpoint);
  writer.text(coordinator.topology_version);
}

void read(Reader& reader, Directory::Coordinator& coordinator) {
  const std::size_t fields = reader.record(4);
  coordinator.name = reader.name();
  coordinator.incarnation = reader.incarnation();
  coordinator.endpoint = reader.bytes(kMaxEndpointBytes);
  coordinator.topology_version = reader.name();
  reader.skip(fields - 4);
}

void put(const Directory::Worker& worker, Writer& writer) {
  writer.array(worker.absences == 0 ? 3 : 4);
  writer.text(worker.name);
  writer.incarnation(worker.incarnation);
  put_texts(worker.tasks, writer);
  if (worker.absences > 0) writer.integer(worker.absences);
}

void read(Reader& reader, Directory::Worker& worker) {
  const std::size_t fields = reader.record(3);
  worker.name = reader.name();
  worker.incarnation = reader.incarnation();
  read_names(reader, worker.tasks);
  worker.absences = fields > 3 ? reader.integer(kMaxNodes) : 0;
  if (fields > 4) reader.skip(fields - 4);
}

void put(const Directory::Held& held, Writer& writer) {
  writer.array(3);
  writer.text(held.coordinator);
  writer.text(held.task);
  writer.bytes(held.slots);
}

void read(Reader& reader, Directory::Held& held) {
  const std::size_t fields = reader.record(3);
  held.coordinator = reader.bytes(kMaxNameBytes);
  held.task = reader.bytes(kMaxNameBytes);
  held.slots = reader.bytes(kKeySlots / 8);
  reader.skip(fields - 3);
}

void put(const SlotSettlement::Held& held, Writer& writer) {
  writer.array(2);
  writer.text(held.task);
  writer.bytes(held.slots);
}

void read(Reader& reader, SlotSettlement::Held& held) {
  const std::size_t fields = reader.record(2);
  held.task = reader.bytes(kMaxNameBytes);
  held.slots = reader.bytes(kKeySlots / 8);
  reader.skip(fields - 2);
}

void put(const SlotSettlement::Missing& missing, Writer& writer) {
  writer.array(2);
  writer.text(missing.name);
  writer.incarnation(missing.incarnation);
}

void read(Reader& reader, SlotSettlement::Missing& missing) {
  const std::size_t fields = reader.record(2);
  missing.name = reader.bytes(kMaxNameBytes);
  missing.incarnation = reader.incarnation();
  reader.skip(fields - 2);
}

void put(const Snapshot::Node& node, Writer& writer) {
  writer.array(9);
  writer.integer(static_cast<std::uint64_t>(node.role));
  writer.text(node.name);
  writer.incarnation(node.incarnation);
  writer.text(node.topology);
  writer.text(node.topology_version);
  writer.text(node.endpoint);
  put_texts(node.tasks, writer);
  writer.text_cut(node.state, kMaxReasonBytes);
  writer.integer(node.age_ms);
}

void read(Reader& reader, Snapshot::Node& node) {
  const std::size_t fields = reader.record(9);
  node.role = static_cast<Role>(reader.integer(static_cast<std::uint64_t>(Role::operator_)));
  node.name = reader.name();
  node.incarnation = reader.incarnation();
  node.topology = reader.name();
  node.topology_version = reader.name();
  node.endpoint = reader.bytes(kMaxEndpointBytes);
  read_names(reader, node.tasks);
  node.state = reader.bytes(kMaxReasonBytes);
  node.age_ms = reader.integer();
  reader.skip(fields - 9);
}

void put(const Watch& watch, Writer& writer) {
  writer.array(10);
  writer.integer(watch.id);
  writer.integer(static_cast<std::uint64_t>(watch.kind));
  writer.text(watch.topology);
  writer.text(watch.task);
  writer.integer(watch.side);
  writer.integer(watch.every);
  writer.integer(watch.per_second);
  writer.integer(watch.max_bytes);
  writer.bytes(watch.text);
  writer.text(watch.message);
}

void read(Reader& reader, Watch& watch) {
  const std::size_t fields = reader.record(10);
  watch.id = static_cast<std::uint32_t>(reader.integer(UINT32_MAX));
  watch.kind =
      static_cast<Watch::Kind>(reader.integer(static_cast<std::uint64_t>(Watch::Kind::tap)));
  watch.topology = reader.name();
  watch.task = reader.name();
  watch.side = static_cast<Watch::Side>(reader.integer(Watch::both));
  watch.every = static_cast<std::uint32_t>(reader.integer(UINT32_MAX));
  watch.per_second = static_cast<std::uint32_t>(reader.integer(UINT32_MAX));
  watch.max_bytes = static_cast<std::uint32_t>(reader.integer(UINT32_MAX));
  watch.text = reader.bytes(kMaxReasonBytes);
  watch.message = reader.bytes(kMaxNameBytes);
  reader.skip(fields - 10);
}

template <typename Entry>
void put_list(const std::vector<Entry>& entries, Writer& writer) {
  writer.array(entries.size());
  for (const Entry& entry : entries) put(entry, writer);
}

template <typename Entry>
void read_list(Reader& reader, std::vector<Entry>& entries, std::size_t most = kMaxNodes) {
  const std::size_t count = reader.array(most);
  // Not cleared: what the entries hold is used again.
  entries.resize(count);
  for (Entry& entry : entries) {
    if (!reader.ok()) return;
    read(reader, entry);
  }
}

}  // namespace

void encode(const Registration& registration, std::string& frame) {
  Writer writer(frame);
  writer.array(7);
  writer.text(registration.endpoint);
  writer.text(registration.topology_version);
  writer.text(registration.topology_text);
  put_texts(registration.tasks, writer);
  writer.text_cut(registration.state, kMaxReasonBytes);
  writer.integer(registration.slots_revision);
  writer.integer(registration.age_ms);
}

Result<void> decode(std::string_view body, Registration& registration) {
  Reader reader(body);
  const std::size_t fields = reader.record(7);
  registration.endpoint = reader.bytes(kMaxEndpointBytes);
  registration.topology_version = reader.name();
  registration.topology_text = reader.bytes(kMaxTopologyBytes);
  read_names(reader, registration.tasks);
  registration.state = reader.bytes(kMaxReasonBytes);
  registration.slots_revision = reader.integer();
  registration.age_ms = reader.integer();
  reader.skip(fields - 7);
  return reader.finish();
}

void encode(const Directory& directory, std::string& frame) {
  Writer writer(frame);
  const std::size_t optional_fields =
      directory.held.empty() ? (directory.watches.empty() ? 0 : 1) : 2;
  writer.array(8 + optional_fields);
  writer.integer(directory.revision);
  writer.text(directory.topology);
  writer.text(directory.topology_version);
  writer.text(directory.topology_text);
  put_list(directory.coordinators, writer);
  put_list(directory.workers, writer);
  writer.integer(directory.slots_revision);
  writer.integer(directory.slots_settled);
  if (optional_fields > 0) put_list(directory.watches, writer);
  if (optional_fields > 1) put_list(directory.held, writer);
}

Result<void> decode(std::string_view body, Directory& directory) {
  Reader reader(body);
  const std::size_t fields = reader.record(8);
  directory.revision = reader.integer();
  directory.topology = reader.name();
  directory.topology_version = reader.name();
  directory.topology_text = reader.bytes(kMaxTopologyBytes);
  read_list(reader, directory.coordinators);
  read_list(reader, directory.workers);
  directory.slots_revision = reader.integer();
  directory.slots_settled = reader.integer();
  directory.watches.clear();
  if (fields > 8) read_list(reader, directory.watches, kMaxWatches);
  directory.held.clear();
  if (fields > 9) read_list(reader, directory.held, kMaxHeld);
  if (fields > 10) reader.skip(fields - 10);
  return reader.finish();
}

void encode(const SlotSettlement& settlement, std::string& frame) {
  Writer writer(frame);
  writer.array(4);
  writer.integer(settlement.slots_revision);
  put_list(settlement.held, writer);
  put_list(settlement.attached, writer);
  put_list(settlement.missing, writer);
}

Result<void> decode(std::string_view body, SlotSettlement& settlement) {
  Reader reader(body);
  const std::size_t fields = reader.record(1);
  settlement.slots_revision = reader.integer();
  settlement.held.clear();
  settlement.attached.clear();
  settlement.missing.clear();
  if (fields > 1) read_list(reader, settlement.held, kMaxTasks);
  if (fields > 2) read_list(reader, settlement.attached);
  if (fields > 3) read_list(reader, settlement.missing);
  if (fields > 4) reader.skip(fields - 4);
  return reader.finish();
}

void encode(const Query& query, std::string& frame) {
  Writer writer(frame);
  writer.array(3);
  writer.integer(query.id);
  writer.text(query.what);
  writer.text(query.topology);
}

Result<void> decode(std::string_view body, Query& query) {
  Reader reader(body);
  const std::size_t fields = reader.record(3);
  query.id = reader.integer();
  query.what = reader.name();
  query.topology = reader.name();
  reader.skip(fields - 3);
  return reader.finish();
}

void encode(const Snapshot& snapshot, std::string& frame) {
  Writer writer(frame);
  writer.array(2);
  writer.integer(snapshot.id);
  put_list(snapshot.nodes, writer);
}

Result<void> decode(std::string_view body, Snapshot& snapshot) {
  Reader reader(body);
  const std::size_t fields = reader.record(2);
  snapshot.id = reader.integer();
  read_list(reader, snapshot.nodes);
  reader.skip(fields - 2);
  return reader.finish();
}

void encode(const Watch& watch, std::string& frame) {
  Writer writer(frame);
  put(watch, writer);
}

Result<void> decode(std::string_view body, Watch& watch) {
  Reader reader(body);
  read(reader, watch);
  return reader.finish();
}

}  // namespace tempest::wire
