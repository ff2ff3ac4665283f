// Dead letters that are written and acked in one step, where both are in one Redis.

#include "stream_fixture.hpp"
#include "tempest/builtin/sink_factory.hpp"

using namespace tempest;
using namespace tempest::test;
using Catch::Matchers::Contains;

namespace {

struct Joint : Stream {
  std::unique_ptr<Sink> sink(const std::string& type, const std::string& uri,
                             const std::string& key = "dead") {
    Endpoint endpoint;
    endpoint.type = type;
    endpoint.settings.set("uri", {uri});
    endpoint.settings.set("key", {key});
    auto made = builtin::create_sink(endpoint);
    REQUIRE(made);
    REQUIRE((*made)->open());
    return std::move(*made);
  }

  std::int64_t number(std::initializer_list<std::string_view> command) {
    auto reply = redis.command(command);
    REQUIRE(reply);
    return reply->value().integer();
  }

  std::unique_ptr<Source> list_source() {
    definition.endpoint.type = "redis_list";
    definition.endpoint.settings.set("key", {std::string("l")});
    return opened_source();
  }

  const std::vector<Message> letters = {"one", std::string_view("t\0wo", 4)};
};

}  // namespace

TEST_CASE_METHOD(Joint,
                 "dead letters in the source's own Redis are written and acked in one step") {
  const std::string type = GENERATE(as<std::string>(), "redis_stream", "redis_list");
  auto source = opened_source();
  add_many(3);
  const auto read = tokens(poll(*source));
  REQUIRE(read.size() == 3);
  auto dead = sink(type, server.uri());
  const auto done = source->write_and_ack(*dead, letters, std::span(read).first(2));
  REQUIRE(done);
  CHECK(*done);
  CHECK(pending() == 1);
  if (type == "redis_list") {
    auto written = redis.command({"LRANGE", "dead", "0", "-1"});
    REQUIRE(written);
    REQUIRE(written->value().size() == 2);
    CHECK(written->value()[1].text() == letters[1].payload);
  } else {
    CHECK(number({"XLEN", "dead"}) == 2);
  }
  // As the node does afterwards.
  CHECK(source->ack(std::span(read).first(2)));
  CHECK(pending() == 1);
}

TEST_CASE_METHOD(Joint, "a list's messages are done with their dead letters") {
  REQUIRE(redis.command({"RPUSH", "l", "a", "b"}));
  auto source = list_source();
  const auto read = tokens(poll(*source));
  REQUIRE(read.size() == 2);
  auto dead = sink("redis_stream", server.uri());
  const auto done = source->write_and_ack(*dead, letters, read);
  REQUIRE(done);
  CHECK(*done);
  CHECK(number({"XLEN", "dead"}) == 2);
  CHECK(number({"HLEN", "l:payloads"}) == 0);
  CHECK(number({"HLEN", "l:attempts"}) == 0);
  CHECK(number({"ZCARD", "l:processing:me"}) == 0);
}

TEST_CASE_METHOD(Joint, "nothing is acked where the dead letter cannot be written") {
  auto source = opened_source();
  add_many(2);
  const auto read = tokens(poll(*source));
  auto dead = sink("redis_stream", server.uri(), "text");
  REQUIRE(redis.command({"SET", "text", "x"}));
  const auto done = source->write_and_ack(*dead, letters, read);
  REQUIRE(done);
  CHECK_FALSE(*done);
  CHECK(pending() == 2);
}

TEST_CASE_METHOD(Joint, "what is in another server, or no Redis, is not done jointly") {
  RedisServer other;
  auto source = opened_source();
  add_many(2);
  const auto read = tokens(poll(*source));
  for (const std::string& uri : {other.uri(), server.uri() + "1"}) {
    auto dead = sink("redis_stream", uri);
    const auto done = source->write_and_ack(*dead, letters, read);
    REQUIRE(done);
    CHECK_FALSE(*done);
  }
  Endpoint null;
  null.type = "null";
  auto nowhere = builtin::create_sink(null);
  REQUIRE(nowhere);
  CHECK_FALSE(*source->write_and_ack(**nowhere, letters, read));
  CHECK(pending() == 2);
}

TEST_CASE_METHOD(Joint, "many large dead letters go in several steps, each whole") {
  auto source = opened_source();
  add_many(1'200);
  std::vector<SourceToken> read;
  while (read.size() < 1'200) {
    const auto more = tokens(poll(*source));
    read.insert(read.end(), more.begin(), more.end());
  }
  const std::string large(10'000, 'x');
  auto dead = sink("redis_stream", server.uri());
  const auto done = source->write_and_ack(*dead, std::vector<Message>(1'200, Message(large)), read);
  REQUIRE(done);
  CHECK(*done);
  CHECK(number({"XLEN", "dead"}) == 1'200);
  CHECK(pending() == 0);
}

TEST_CASE_METHOD(Joint, "a server that is gone is away, and nothing is said of the rest") {
  auto source = opened_source();
  add_many(1);
  const auto read = tokens(poll(*source));
  auto dead = sink("redis_stream", server.uri());
  server.kill();
  const auto done = source->write_and_ack(*dead, std::span(letters).first(1), read);
  REQUIRE_FALSE(done);
  CHECK(done.error().code == ErrorCode::unavailable);
}

TEST_CASE_METHOD(Joint, "a sink says, once, that its server keeps no append-only file") {
  const std::string type = GENERATE(as<std::string>(), "redis_stream", "redis_list");
  REQUIRE(redis.command({"CONFIG", "SET", "appendonly", "no"}));
  auto dead = sink(type, server.uri());
  const auto warnings = dead->take_warnings();
  REQUIRE(warnings.size() == 1);
  CHECK_THAT(warnings[0], Contains("append-only"));
  REQUIRE(dead->open());
  CHECK(dead->take_warnings().empty());
}

TEST_CASE_METHOD(Joint,
                 "what was read ahead of dead letters is neither lost nor taken for a reply") {
  auto source = opened_source();
  add_many(10);
  const SourceBatch first = poll(*source, 2);
  REQUIRE(first.size() == 2);
  auto dead = sink("redis_stream", server.uri());
  const auto done = source->write_and_ack(*dead, letters, tokens(first));
  REQUIRE(done);
  CHECK(*done);
  CHECK(number({"XLEN", "dead"}) == 2);
  Payloads rest;
  for (int polls = 0; polls < 10; ++polls) {
    const Payloads more = payloads(poll(*source, 2));
    rest.insert(rest.end(), more.begin(), more.end());
  }
  CHECK(rest == Payloads{"2", "3", "4", "5", "6", "7", "8", "9"});
  CHECK(pending() == 8);
}
