#include "source_node/recording_source.hpp"

#include <catch2/catch.hpp>
#include <string>

#include "tempest/builtin/generator_source.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace tempest;
using namespace tempest::source_node;

namespace {

std::unique_ptr<Source> generator(std::uint64_t count, double rate) {
  builtin::GeneratorSource::Options options;
  options.count = count;
  options.rate = rate;
  return std::make_unique<builtin::GeneratorSource>(options);
}

std::uint64_t latencies_in(const FlowRecord& record) {
  std::uint64_t count = 0;
  for (const auto& bucket : record.latencies) count += bucket;
  return count;
}

}  // namespace

TEST_CASE("a bucket holds what lies up to its bound, and nothing beyond 1/64 below it") {
  for (std::uint64_t value : {0ULL, 1ULL, 63ULL, 64ULL, 127ULL, 128ULL, 1'000ULL, 68'000ULL,
                              5'000'000ULL, 3'000'000'000ULL}) {
    const std::uint64_t bound = FlowRecord::upper_bound_ns(FlowRecord::bucket_of(value));
    CHECK(bound >= value);
    CHECK(bound - value <= value / 64);
    CHECK(FlowRecord::bucket_of(bound + 1) == FlowRecord::bucket_of(value) + 1);
  }
  CHECK(FlowRecord::bucket_of(~0ULL) == FlowRecord::kBuckets - 1);
}

TEST_CASE("what is read and acked can be seen in the record's file by another") {
  const test::TemporaryFolder folder;
  const std::string path = folder.path("record");
  auto record = FlowRecordFile::create(path);
  REQUIRE(record);
  RecordingSource source(generator(5, 1e6), *record, 1e6);
  REQUIRE(source.open());
  SourceBatch batch;
  while (!batch.ended) REQUIRE(source.poll(100, std::chrono::seconds(1), batch));
  const std::vector<SourceToken> tokens = {batch.messages()[0].token, batch.messages()[1].token};
  REQUIRE(source.ack(tokens));

  auto seen = FlowRecordFile::open(path);
  REQUIRE(seen);
  CHECK((*seen)->read == 5);
  CHECK((*seen)->acked == 2);
  CHECK((*seen)->first_read_ns > 0);
  CHECK((*seen)->last_ack_ns >= (*seen)->first_ack_ns);
  CHECK(latencies_in(**seen) == 2);
}

TEST_CASE("whoever looks at a record can end its source") {
  const test::TemporaryFolder folder;
  auto record = FlowRecordFile::create(folder.path("record"));
  REQUIRE(record);
  RecordingSource source(generator(1'000, 0), *record, 0);
  REQUIRE(source.open());
  SourceBatch batch;
  REQUIRE(source.poll(10, std::chrono::seconds(1), batch));
  CHECK(!batch.ended);
  (*record)->end = true;
  REQUIRE(source.poll(10, std::chrono::seconds(1), batch));
  CHECK(batch.ended);
  CHECK(batch.size() == 10);
}

TEST_CASE("a file that is no record is refused") {
  CHECK_FALSE(FlowRecordFile::open("/proc/self/status"));
  CHECK_FALSE(FlowRecordFile::open("/nowhere/record"));
}

namespace {

/// A source that wants to be looked after, and notes what it is told.
struct TendedSource : Source {
  struct Told {
    std::vector<SourceToken> left;
    int tended = 0;
    int interrupted = 0;
  };
  explicit TendedSource(Told& to) : told(to) {}

  Result<void> open() override { return {}; }
  Result<void> poll(std::size_t, Duration, SourceBatch&) override { return {}; }
  void interrupt() override { ++told.interrupted; }
  Result<void> ack(std::span<const SourceToken>) override { return {}; }
  Result<void> leave(std::span<const SourceToken> tokens) override {
    told.left.assign(tokens.begin(), tokens.end());
    return {};
  }
  Duration tend_interval() const override { return std::chrono::seconds(7); }
  Result<void> tend(SourceTended& done) override {
    ++told.tended;
    done.readers_removed += 3;
    return {};
  }
  std::string describe(const SourceToken&) const override { return "a message"; }

  Told& told;
};

}  // namespace

TEST_CASE("a source that is recorded is looked after like any other") {
  const test::TemporaryFolder folder;
  auto record = FlowRecordFile::create(folder.path("record"));
  REQUIRE(record);
  TendedSource::Told told;
  RecordingSource source(std::make_unique<TendedSource>(told), *record, 0);
  CHECK(source.tend_interval() == std::chrono::seconds(7));
  SourceTended done;
  REQUIRE(source.tend(done));
  CHECK(told.tended == 1);
  CHECK(done.readers_removed == 3);
  const std::vector<SourceToken> tokens = {{0, 4}};
  REQUIRE(source.leave(tokens));
  CHECK(told.left == tokens);
  source.interrupt();
  CHECK(told.interrupted == 1);
}
