#include <array>

#include "tempest/base/limits.hpp"
#include "tempest/wire/codec.hpp"
#include "tempest/wire/reader.hpp"
#include "tempest/wire/writer.hpp"

namespace tempest::wire {
namespace {

constexpr std::size_t kMaxLabels = 32;
/// What a node can have counted, and for how long it can have run: far beyond any, and so little
/// that the sums over all nodes do not overflow.
constexpr std::uint64_t kMostRecorded = 1ULL << 48;
constexpr std::uint64_t kMostSum_ns = 1ULL << 62;
constexpr std::uint64_t kLongestUptime_ms = 1'000ULL * 365 * 24 * 3'600 * 1'000;

void put_labels(const std::vector<StatsReport::Label>& labels, Writer& writer) {
  writer.map(labels.size());
  for (const StatsReport::Label& label : labels) {
    writer.text(label.name);
    writer.text(label.value);
  }
}

void read_labels(Reader& reader, std::vector<StatsReport::Label>& labels) {
  labels.resize(reader.map(kMaxLabels));
  for (StatsReport::Label& label : labels) {
    label.name = reader.name();
    label.value = reader.name();
  }
}

void put(const StatsReport::Number& number, Writer& writer) {
  writer.array(4);
  writer.text(number.name);
  put_labels(number.labels, writer);
  writer.number(number.value);
  writer.boolean(number.is_counter);
}

void read(Reader& reader, StatsReport::Number& number) {
  const std::size_t fields = reader.record(4);
  number.name = reader.name();
  read_labels(reader, number.labels);
  number.value = reader.number();
  number.is_counter = reader.boolean();
  reader.skip(fields - 4);
}

void put(const StatsReport::Distribution& distribution, Writer& writer) {
  const auto& buckets = distribution.histogram.buckets();
  std::size_t used = buckets.size();
  while (used > 0 && buckets[used - 1] == 0) --used;
  writer.array(4);
  writer.text(distribution.name);
  put_labels(distribution.labels, writer);
  writer.integer(distribution.histogram.sum_ns());
  writer.array(used);
  for (std::size_t i = 0; i < used; ++i) writer.integer(buckets[i]);
}

void read(Reader& reader, StatsReport::Distribution& distribution) {
  const std::size_t fields = reader.record(4);
  distribution.name = reader.name();
  read_labels(reader, distribution.labels);
  const std::uint64_t sum_ns = reader.integer(kMostSum_ns);
  std::array<std::uint64_t, Histogram::kBuckets> buckets{};
  const std::size_t used = reader.array(buckets.size());
  for (std::size_t i = 0; i < used; ++i) buckets[i] = reader.integer(kMostRecorded);
  distribution.histogram.assign(buckets, sum_ns);
  reader.skip(fields - 4);
}

template <typename Entry>
void read_list(Reader& reader, std::vector<Entry>& entries) {
  const std::size_t count = reader.array(kMaxFrameItems);
  entries.clear();
  for (std::size_t i = 0; i < count && reader.ok(); ++i) read(reader, entries.emplace_back());
}

}  // namespace

void encode(const StatsReport& report, std::string& frame) {
  frame.clear();
  Writer writer(frame);
  writer.array(9);
  writer.integer(static_cast<std::uint64_t>(FrameType::stats));
  writer.integer(kProtocolVersion);
  writer.text(report.node);
  writer.integer(static_cast<std::uint64_t>(report.role));
  writer.text(report.topology);
  writer.incarnation(report.incarnation);
  writer.integer(report.uptime_ms);
  writer.array(report.numbers.size());
  for (const StatsReport::Number& number : report.numbers) put(number, writer);
  writer.array(report.distributions.size());
  for (const StatsReport::Distribution& entry : report.distributions) put(entry, writer);
}

Result<void> decode(std::string_view frame, StatsReport& report) {
  Reader reader(frame);
  const std::size_t fields = reader.record(9);
  if (reader.integer() != static_cast<std::uint64_t>(FrameType::stats)) {
    reader.fail("a frame of another type");
  }
  if (reader.integer() != kProtocolVersion) reader.fail("statistics of another protocol version");
  report.node = reader.name();
  report.role = static_cast<Role>(reader.integer(static_cast<std::uint64_t>(Role::operator_)));
  report.topology = reader.name();
  report.incarnation = reader.incarnation();
  report.uptime_ms = reader.integer(kLongestUptime_ms);
  read_list(reader, report.numbers);
  read_list(reader, report.distributions);
  reader.skip(fields - 9);
  return reader.finish();
}

}  // namespace tempest::wire
