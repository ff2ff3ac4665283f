#include "tempest/watch/sighting_log.hpp"

#include <catch2/catch.hpp>

#include "tempest/wire/codec.hpp"

using namespace tempest;
using namespace tempest::watch;
using namespace std::chrono_literals;

namespace {

constexpr TimePoint kStart{std::chrono::hours(1)};
const link::Identity kSelf{Role::task, "worker-1", {1, 2}, "words"};

wire::Sighting sighting_of(std::uint32_t watch, std::uint32_t number, std::size_t bytes = 1) {
  wire::Sighting sighting;
  sighting.message = std::uint64_t{watch} << 32 | number;
  sighting.kind = wire::Sighting::Kind::input;
  sighting.payload = std::string(bytes, 'p');
  return sighting;
}

std::vector<wire::Sightings> published(SightingLog& log, TimePoint now = kStart) {
  link::Effects effects;
  log.publish(now, effects);
  std::vector<wire::Sightings> frames;
  for (const auto& publication : effects.publications) {
    wire::Sightings& frame = frames.emplace_back();
    REQUIRE(wire::decode(publication.body, frame));
    if (!frame.sightings.empty()) {
      CHECK(publication.topic == topic_of(watch_of(frame.sightings.front().message)));
    }
  }
  return frames;
}

}  // namespace

TEST_CASE("what is seen is published by watch, under its topic, in order and numbered") {
  CHECK(topic_of(0x1a2b) == "watch/00001a2b/");
  SightingLog log(kSelf);
  log.add(sighting_of(7, 1));
  log.add(sighting_of(5, 1));
  log.add(sighting_of(7, 2));
  const auto frames = published(log);
  REQUIRE(frames.size() == 2);
  CHECK(frames[0].sightings.size() == 1);
  REQUIRE(frames[1].sightings.size() == 2);
  CHECK(frames[1].sightings[0].message < frames[1].sightings[1].message);
  CHECK(frames[1].node == "worker-1");
  CHECK(frames[1].topology == "words");
  CHECK(frames[1].incarnation == kSelf.incarnation);
  CHECK(frames[1].sequence == 1);
  CHECK(published(log).empty());
  log.add(sighting_of(7, 3));
  CHECK(published(log).at(0).sequence == 2);
}

TEST_CASE("what there is no room for is counted, by number and by bytes") {
  SightingLog log(kSelf);
  for (std::uint32_t i = 0; i < SightingLog::kMaxSightings + 5; ++i) log.add(sighting_of(7, i));
  auto frames = published(log);
  REQUIRE(frames.size() == 1);
  CHECK(frames[0].sightings.size() == SightingLog::kMaxSightings);
  CHECK(frames[0].left_out == 5);

  for (std::uint32_t i = 0; i < 3; ++i) log.add(sighting_of(7, i, SightingLog::kMaxBytes / 2));
  frames = published(log);
  REQUIRE(frames.size() == 1);
  CHECK(frames[0].sightings.size() == 1);
  CHECK(frames[0].left_out == 7);
}

TEST_CASE("counts alone are published once a second, and end with their watch") {
  SightingLog log(kSelf);
  log.set_seen(7, 100, 0);
  REQUIRE(published(log).size() == 1);
  log.set_seen(7, 200, 3);
  CHECK(published(log, kStart + 500ms).empty());
  const auto frames = published(log, kStart + 1s);
  REQUIRE(frames.size() == 1);
  CHECK(frames[0].seen == 200);
  CHECK(frames[0].left_out == 3);
  CHECK(published(log, kStart + 3s).empty());
  log.set_seen(7, 300, 3);
  log.keep({});
  CHECK(published(log, kStart + 5s).empty());
}
