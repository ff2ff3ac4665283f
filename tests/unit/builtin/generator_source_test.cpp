#include "tempest/builtin/generator_source.hpp"

#include <catch2/catch.hpp>

#include "tempest/builtin/source_factory.hpp"

using namespace tempest;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;
using tempest::builtin::GeneratorSource;

TEST_CASE("a generator gives as many messages as it is told to, of the size it is told to") {
  GeneratorSource source({.count = 25, .size_bytes = 10});
  REQUIRE(source.open());
  SourceBatch all;
  for (SourceBatch batch; !batch.ended;) {
    batch = {};
    REQUIRE(source.poll(10, 0ms, batch));
    REQUIRE(batch.size() <= 10);
    for (const SourceMessage& message : batch.messages()) all.add(message);
  }
  REQUIRE(all.size() == 25);
  CHECK(all.messages()[0].payload == "0.........");
  CHECK(all.messages()[24].payload == "24........");
  CHECK(all.messages()[24].token == SourceToken{0, 24});
  CHECK(source.describe(all.messages()[24].token) == "message 24");
  CHECK(source.ack({}));
}

TEST_CASE("a generator's payload is never shorter than its number") {
  GeneratorSource source({.count = 11, .size_bytes = 0});
  REQUIRE(source.open());
  SourceBatch batch;
  REQUIRE(source.poll(100, 0ms, batch));
  REQUIRE(batch.size() == 11);
  CHECK(batch.messages()[10].payload == "10");
  CHECK(batch.ended);
}

TEST_CASE("a generator's numbers grow by a digit where they must, within the size and beyond") {
  GeneratorSource source({.count = 1'002, .size_bytes = 3});
  REQUIRE(source.open());
  SourceBatch batch;
  REQUIRE(source.poll(10'000, 0ms, batch));
  REQUIRE(batch.size() == 1'002);
  const auto payload = [&batch](std::size_t i) { return batch.messages()[i].payload; };
  CHECK(payload(9) == "9..");
  CHECK(payload(10) == "10.");
  CHECK(payload(99) == "99.");
  CHECK(payload(100) == "100");
  CHECK(payload(199) == "199");
  CHECK(payload(200) == "200");
  CHECK(payload(999) == "999");
  CHECK(payload(1'000) == "1000");
  CHECK(payload(1'001) == "1001");
}

TEST_CASE("a poll of large generated messages is bounded by their bytes") {
  GeneratorSource source({.size_bytes = 1'000'000});
  REQUIRE(source.open());
  SourceBatch batch;
  REQUIRE(source.poll(1000, 0ms, batch));
  CHECK(batch.size() >= 1);
  CHECK(batch.size() <= 10);
}

TEST_CASE("a generator keeps to its rate") {
  GeneratorSource source({.rate = 1000});
  REQUIRE(source.open());
  const auto begin = std::chrono::steady_clock::now();
  std::size_t count = 0;
  while (count < 50) {
    SourceBatch batch;
    REQUIRE(source.poll(1000, 100ms, batch));
    count += batch.size();
    CHECK_FALSE(batch.ended);
  }
  const auto elapsed = std::chrono::steady_clock::now() - begin;
  CHECK(elapsed >= 48ms);
  // Never ahead of the rate, however slow the machine.
  CHECK(static_cast<double>(count) <= 2 + 1000 * std::chrono::duration<double>(elapsed).count());
}

TEST_CASE("a generator with a rate does not wait, but says for how long it has nothing") {
  GeneratorSource source({.rate = 0.01});
  REQUIRE(source.open());
  SourceBatch batch;
  REQUIRE(source.poll(10, 0ms, batch));
  CHECK(batch.size() == 1);
  CHECK(batch.quiet_for > 90s);
  CHECK(batch.quiet_for <= 100s);
  batch.clear();
  REQUIRE(source.poll(10, 1h, batch));
  CHECK(batch.empty());
  CHECK(batch.quiet_for > 90s);
}

TEST_CASE("a generator without a rate always has more") {
  GeneratorSource source({});
  REQUIRE(source.open());
  SourceBatch batch;
  REQUIRE(source.poll(10, 0ms, batch));
  CHECK(batch.quiet_for == 0s);
}

TEST_CASE("a source is made of what its definition says, or refused with the reason") {
  SourceDefinition definition;
  Settings& settings = definition.endpoint.settings;
  const auto error = [&] {
    auto source = builtin::create_source(definition, "topology", "consumer");
    REQUIRE_FALSE(source);
    CHECK(source.error().code == ErrorCode::configuration);
    return source.error().message;
  };

  definition.endpoint.type = "generator";
  settings.set("count", {std::int64_t{3}});
  settings.set("size", {std::string("1KiB")});
  auto generator = builtin::create_source(definition, "topology", "consumer");
  REQUIRE(generator);
  REQUIRE((*generator)->open());
  SourceBatch batch;
  REQUIRE((*generator)->poll(10, 0ms, batch));
  REQUIRE(batch.size() == 3);
  CHECK(batch.messages()[0].payload.size() == 1024);
  settings.set("count", {std::int64_t{-3}});
  CHECK_THAT(error(), Contains("count"));

  definition.endpoint.type = "lines";
  CHECK_THAT(error(), Contains("path"));
  definition.endpoint.type = "redis_stream";
  CHECK_THAT(error(), Contains("key"));
  settings.set("key", {std::string("k")});
  CHECK(builtin::create_source(definition, "topology", "consumer"));
  settings.set("uri", {std::string("redis://:secret@:1")});
  CHECK_THAT(error(), !Contains("secret"));
  definition.endpoint.type = "redis_steam";
  CHECK_THAT(error(), Contains("did you mean \"redis_stream\"?"));
}
